"""Replies that no agent of ours gives: each is one error, and nothing is waited for endlessly."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from rockpress.board.board_session import BenchSettings, BoardSession
from rockpress.board.links.local import LocalLink
from rockpress.core.errors import BoardError

GREETING = '{"agent": 1, "python": "3.11.2"}'
FACTS = '{"id": 1, "ok": {"python": "3.11.2"}}'
MODEL = """{"id": 1, "ok": {"inputs": [{"name": "x", "shape": [1, %s], "format": "NHWC",
"type": "int8", "size": 4}], "outputs": [], "init_ms": %s}}""".replace("\n", " ")
REPLIES = [
    ("", "agent-ended"),
    ("Welcome!\n" * 200, "noise"),
    (f"{'x' * 70_000}\n{GREETING}", "noise"),
    ('{"agent": 2, "python": "3.11.2"}', "other-agent"),
    ('{"agent": [], "python": {}}', "other-agent"),
    ('{"agent": 1, "python": "2.7.18"}', "old-python"),
    (GREETING, "agent-ended"),
    (f"{GREETING}\nSegmentation fault", "broken-reply"),
    (f"{GREETING}\n{'[' * 100_000}", "broken-reply"),
    (f"{GREETING}\n{'x' * (1 << 21)}", "broken-reply"),
    (f'{GREETING}\n{{"id": 1, "ok": 3}}', "broken-reply"),
    (f'{GREETING}\n{{"id": 1, "ok": {{}}}}', "broken-reply"),
    (f'{GREETING}\n{{"id": 9, "ok": {{"python": "3.11.2"}}}}', "broken-reply"),
    (f'{GREETING}\n{{"id": 1, "ok": {{"python": "3.11.2", "memory_bytes": -1}}}}', "broken-reply"),
    (f'{GREETING}\n{{"id": 1, "ok": {{"python": "3.11.2", "memory_bytes": NaN}}}}', "broken-reply"),
    (f'{GREETING}\n{{"id": 1, "ok": {{"python": "{"3" * 5000}"}}}}', "broken-reply"),
    (f'{GREETING}\n{{"id": 1, "error": 3}}', "broken-reply"),
    (f'{GREETING}\n{{"id": 1, "error": {{"code": 3, "text": "x"}}}}', "broken-reply"),
    (f'{GREETING}\n{{"id": 1, "bytes": -1, "ok": {{}}}}', "broken-reply"),
    (f'{GREETING}\n{{"id": 1, "bytes": "9", "ok": {{}}}}', "broken-reply"),
    (f'{GREETING}\n{{"id": 1, "bytes": 1e99, "ok": {{}}}}', "broken-reply"),
    (f'{GREETING}\n{{"id": 1, "bytes": {1 << 60}, "ok": {{}}}}', "reply-too-large"),
]


# goes on until this side has closed its end: what ended before would be told as ended
UNTIL_LEFT = "sys.stdin.read()"


def link_to(folder: Path, text: str, end: str = "") -> LocalLink:
    """Return a link to a board on which another program says this instead of ours."""
    (folder / "says").write_text(text + "\n" if text else "")
    program = folder / "other"
    says = f"sys.stdout.write(open({str(folder / 'says')!r}).read())\nsys.stdout.flush()"
    (folder / "other.py").write_text(f"import sys, time\n{says}\n{end}\n")
    # no first line with the interpreter's path, which may be long or have a blank in it
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{folder}/other.py" "$@"\n')
    program.chmod(0o755)
    return LocalLink(str(program))


@pytest.mark.parametrize(("text", "fault"), REPLIES)
def test_a_reply_that_is_none(text: str, fault: str, tmp_path: Path) -> None:
    end = "" if fault == "agent-ended" else UNTIL_LEFT
    with link_to(tmp_path, text, end) as link, pytest.raises(BoardError) as caught:
        BoardSession(link).facts()
    assert caught.value.fault == fault, caught.value
    assert caught.value.hint and len(str(caught.value)) < 400


@pytest.mark.parametrize(("size", "init_ms"), [("0", "1"), ("-4", "1"), ("1e9", "1"), ("4", "-1")])
def test_a_model_that_cannot_be(size: str, init_ms: str, tmp_path: Path) -> None:
    (tmp_path / "m.rknn").write_bytes(b"RKNN")
    with (
        link_to(tmp_path, f"{GREETING}\n{MODEL % (size, init_ms)}", UNTIL_LEFT) as link,
        pytest.raises(BoardError) as caught,
    ):
        BoardSession(link).load(tmp_path / "m.rknn")
    assert caught.value.fault == "broken-reply"


CLEAN = '{"id": 1, "ok": {"inputs": [], "outputs": [], "init_ms": 1}}'
SPREAD = '{"p50": 1, "p90": 1, "p99": 1, "n": 1}'
TIMINGS = (
    '{"id": 2, "ok": {"first_run_ms": 1, "rounds": %s, "npu_ms": %s, "agrees": true, '
    f'"set_ms": {SPREAD}, "get_ms": {SPREAD}, "before": {{}}, "after": {{}}}}}}'
)


@pytest.mark.parametrize(
    ("rounds", "npu"),
    [("[]", "[]"), ("[[]]", "[]"), ("[[1], []]", "[]"), ("[[0]]", "[]"), ("[[1], [2]]", "[1]")],
)
def test_times_that_cannot_be(rounds: str, npu: str, tmp_path: Path) -> None:
    (tmp_path / "m.rknn").write_bytes(b"RKNN")
    reply = TIMINGS % (rounds, npu)
    with link_to(tmp_path, f"{GREETING}\n{CLEAN}\n{reply}", UNTIL_LEFT) as link:
        session = BoardSession(link)
        session.load(tmp_path / "m.rknn")
        with pytest.raises(BoardError) as caught:
            session.bench(BenchSettings())
    assert caught.value.fault == "broken-reply"


def test_outputs_of_another_length_than_said(tmp_path: Path) -> None:
    (tmp_path / "m.rknn").write_bytes(b"RKNN")
    part = '{"shape": [4], "type": "int8", "bytes": 4}'
    reply = f'{{"id": 2, "bytes": 2, "ok": {{"outputs": [{part}], '
    reply += '"set_ms": 1, "run_ms": 1, "get_ms": 1}}\nab'
    with link_to(tmp_path, f"{GREETING}\n{CLEAN}\n{reply}", UNTIL_LEFT) as link:
        session = BoardSession(link)
        session.load(tmp_path / "m.rknn")
        with pytest.raises(BoardError) as caught:
            session.infer([])
    assert caught.value.fault == "broken-reply"


def test_what_is_asked_for_may_come_late_but_not_too_late(tmp_path: Path) -> None:
    begin = time.monotonic()
    with link_to(tmp_path, GREETING, "time.sleep(60)") as link, pytest.raises(BoardError) as caught:
        BoardSession(link, timeout=0.5).facts()
    assert caught.value.fault == "board-hangs"
    assert time.monotonic() - begin < 30


def test_replies_without_end_are_not_read_without_end(tmp_path: Path) -> None:
    end = 'while True: sys.stdout.write(\'{"id": 1, "progress": [1, 2]}\\n\')'
    with link_to(tmp_path, GREETING, end) as link, pytest.raises(BoardError) as caught:
        BoardSession(link, timeout=5).facts()
    assert caught.value.fault == "broken-reply"
