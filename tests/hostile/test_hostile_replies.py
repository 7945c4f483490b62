"""What workers of a cluster answer, or a scheduler that is none of ours: read or refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rockpress.core.validation import Malformed
from rockpress.pipeline.cluster.replies import Versions, read_environment, read_reply
from rockpress.pipeline.search.points import Failure, Measure

VERSIONS = Versions("0.1.0", "2.5.0")
REPLY: dict[str, Any] = {
    "worker": "tcp://10.0.0.7:40001",
    "store": "lab3:/home/u/.cache/rockpress",
    "environment": {"rockpress": "0.1.0", "toolkit": "2.5.0", "host": "lab3"},
}
MEASURE = {"cost": 0.24, "retention": 0.99, "low": 0.98, "high": 1.0, "figures": {"ms": 0.24}}


def test_a_good_reply_is_read() -> None:
    reply, files = read_reply(({**REPLY, "measure": MEASURE}, {"a/b": b"c"}), VERSIONS)
    assert isinstance(reply.outcome, Measure)
    assert reply.outcome.figures == {"ms": 0.24}
    assert files == {"a/b": b"c"}
    failed, _ = read_reply(({**REPLY, "failure": "ended by signal 9"}, {}), VERSIONS)
    assert failed.outcome == Failure("ended by signal 9")
    other = {**REPLY["environment"], "rockpress": "0.2.0"}
    unfit, _ = read_reply(({**REPLY, "environment": other}, {}), VERSIONS)
    assert not unfit.environment.fits(VERSIONS)


def bad_replies() -> Iterator[object]:
    yield from (None, 3, "x", [], [{}], {}, (REPLY, {}), ({**REPLY, "measure": MEASURE},))
    yield {**REPLY, "measure": MEASURE}, None
    for path in ("../x", "/etc/passwd", "a/./b", "", 3, "x\0"):
        yield {**REPLY, "measure": MEASURE}, {path: b""}
    yield {**REPLY, "measure": MEASURE}, {"a": "text"}
    yield {**REPLY, "measure": MEASURE, "failure": "both"}, {}
    yield {**REPLY, "environment": {"host": 3}}, {}
    yield {**REPLY, "lacking": "abc"}, {}
    changes: Mapping[str, list[object]] = {
        "cost": [0, -1, float("nan"), float("inf"), "1", None],
        "low": [float("nan"), 0.995, "x"],
        "retention": [None, float("inf"), []],
        "figures": [None, {"ms": float("nan")}, {"ms": "x"}, 3],
    }
    for key, values in changes.items():
        yield from (({**REPLY, "measure": {**MEASURE, key: value}}, {}) for value in values)


@pytest.mark.parametrize("answer", list(bad_replies()), ids=repr)
def test_what_is_no_reply_is_refused(answer: object) -> None:
    with pytest.raises(Malformed):
        read_reply(answer, VERSIONS)


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.binary(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=9,
)
KEYS = st.sampled_from([*REPLY, "lacking", "measure", "failure"])


@given(st.dictionaries(KEYS, PLAIN, max_size=4), PLAIN, PLAIN)
def test_a_changed_reply_is_read_or_refused(
    changes: dict[str, object], files: object, other: object
) -> None:
    for answer in (({**REPLY, "measure": MEASURE, **changes}, files), other):
        try:
            reply, _ = read_reply(answer, VERSIONS)
        except Malformed:
            continue
        assert reply.lacking or isinstance(reply.outcome, (Measure, Failure))
    for answer in (other, changes):
        try:
            read_environment(answer)
        except Malformed:
            continue
