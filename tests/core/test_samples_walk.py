"""A model that is run piece by piece gives what it gives in one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, numpy_helper

from graphs import Samples, model_of, random_feeds
from rockpress.core.errors import SamplesError
from rockpress.core.session import Session
from rockpress.core.streaming import layerwise as walking
from rockpress.core.streaming.layerwise import LayerwiseExecutor, SpooledArrays
from rockpress.core.types import Array

TEXT = """(float[1,3] x, float[1,3] z) => (float[1,3] early, float[1,3] y) {
        a = Add (x, one)
        early = Relu (a)
        b = Mul (a, two)
        c = Add (b, z)
        d = Sub (c, a)
        y = Mul (d, two) }"""


@pytest.fixture
def model() -> ModelProto:
    return model_of(TEXT, {"one": [1.0], "two": [2.0]}, prepared=False)


@pytest.fixture
def samples() -> Samples:
    return random_feeds({"x": (1, 3), "z": (1, 3)}, 3)


@pytest.mark.parametrize("in_memory", [1, 1 << 20])
@pytest.mark.parametrize("stops", [[], [0], [1], [3], [6], [1, 2, 3, 4, 5], [2, 1, 5]])
def test_the_rest_of_the_model_gives_the_same(
    model: ModelProto,
    samples: Samples,
    stops: list[int],
    in_memory: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(walking, "_IN_MEMORY", in_memory)
    walk = LayerwiseExecutor(model, samples)
    for stop in stops:
        walk.run_until(stop)
    assert walk.position == max([0, *stops])
    rest, whole = walk.rest(), Session(model)
    names = [value.name for value in rest.graph.output]
    held = [name for name in ("early", "y") if name not in names]
    wanted = [dict(zip(("early", "y"), whole.run(feeds), strict=True)) for feeds in samples]
    for index, feeds in enumerate(walk.feeds()):
        found = dict(zip(names, Session(rest).run(feeds) if names else [], strict=True))
        found |= {name: walk.values(name)[index] for name in held}
        for name, value in wanted[index].items():
            np.testing.assert_array_equal(found[name], value)


def test_tensors_are_held_while_they_are_needed_only(model: ModelProto, samples: Samples) -> None:
    walk = LayerwiseExecutor(model, samples)
    walk.keep(["b"])
    walk.run_until(5)
    assert len(walk) == 3
    assert [value.shape for value in walk.values("b")] == [(1, 3)] * 3
    for gone in ("x", "z", "a", "c"):
        with pytest.raises(KeyError):
            walk.values(gone)
    walk.drop("b")
    with pytest.raises(KeyError):
        walk.values("b")
    assert [list(feeds) for feeds in walk.feeds()] == [["d"]] * 3


def test_a_fork_goes_on_through_another_model(model: ModelProto, samples: Samples) -> None:
    other = ModelProto()
    other.CopyFrom(model)
    other.graph.node[3].op_type = "Sub"
    walk = LayerwiseExecutor(model, samples)
    walk.run_until(2)
    fork = walk.fork(other)
    walk.run_until(4)
    fork.run_until(4)
    for feeds, c, difference in zip(samples, walk.values("c"), fork.values("c"), strict=True):
        np.testing.assert_allclose(c - difference, 2 * feeds["z"], atol=1e-6)


def test_weights_may_change_on_the_way(model: ModelProto, samples: Samples) -> None:
    walk = LayerwiseExecutor(model, samples)
    walk.run_until(3)
    before = [d.copy() for d in walk.values("a")]
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.zeros(1, np.float32), "two"))
    walk.run_until(6)
    assert all(not y.any() for y in walk.values("y"))
    assert all(a.any() for a in before)


def test_no_samples(model: ModelProto) -> None:
    with pytest.raises(SamplesError):
        LayerwiseExecutor(model, [])


def test_arrays_of_any_shape_and_type_are_held() -> None:
    held = SpooledArrays()
    arrays = [np.arange(6).reshape(2, 3).T, np.array(True), np.zeros((0, 4), np.float16)]
    for array in arrays:
        held.append(array)
    for _ in range(2):
        for kept, array in zip(held, arrays, strict=True):
            assert (kept.dtype, kept.shape) == (array.dtype, array.shape)
            np.testing.assert_array_equal(kept, array)


@pytest.mark.parametrize("stops", [[2, 4, 7], [3, 5, 7], [1, 2, 3, 4, 5, 6, 7]])
@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16])
def test_what_is_dequantized_is_held_as_integers(
    kind: type, stops: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is bit for bit what the model computes in one, wherever it is stopped."""
    written = list[np.dtype[Any]]()
    append = SpooledArrays.append

    def noting(self: SpooledArrays, array: Array) -> None:
        written.append(array.dtype)
        append(self, array)

    monkeypatch.setattr(SpooledArrays, "append", noting)
    zero: Array = np.array(3, kind)
    model = model_of(
        """(float[1,500] x) => (float[1,500] y, float[1,500] z) {
        a = Relu (x)
        q = QuantizeLinear (a, s, k)
        d = DequantizeLinear (q, s, k)
        b = Mul (d, d)
        r = QuantizeLinear (b, s, k)
        y = DequantizeLinear (r, s, k)
        z = Sub (d, y) }""",
        {"s": np.float32(0.037), "k": zero},
        prepared=False,
        opset=21,
    )
    samples = random_feeds({"x": (1, 500)}, 4)
    expected = [Session(model, optimise=False).run(feeds, ["y", "z"]) for feeds in samples]
    walk = LayerwiseExecutor(model, samples, optimise=False)
    walk.keep(["d", "y", "z"])
    for stop in stops:
        walk.run_until(stop)
    for index, (y, z) in enumerate(expected):
        np.testing.assert_array_equal(walk.values("y")[index], y)
        np.testing.assert_array_equal(walk.values("z")[index], z)
    if stops == [3, 5, 7]:  # the first is behind d, the second between r and y
        assert written.count(np.dtype(kind)) == 2 * len(samples)
