"""Scales and zero points, the plan that holds them, and the ranges they come from."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from graphs import Weights, model_of, random_feeds
from rockpress.core.errors import ModelError, SamplesError
from rockpress.core.progress import Progress
from rockpress.core.session import Session
from rockpress.quantize.numeric.scales import (
    activation_scale,
    dequantize,
    floored_for_bias,
    quantize_bias,
    quantize_weight,
    weight_scales,
)
from rockpress.quantize.rendering.plan import Activation, Plan, Weight, read_plan, write_plan
from rockpress.quantize.statistics.tensor_statistics import collect_statistics

NUMBERS = st.floats(-1e4, 1e4, width=32)


def round_trip(x: NDArray[np.float32], scale: float, zero_point: int) -> NDArray[np.float32]:
    """x through QuantizeLinear and DequantizeLinear of ONNX Runtime."""
    text = f"""(float[{x.size}] x) => (float[{x.size}] y) {{
        q = QuantizeLinear (x, s, z)
        y = DequantizeLinear (q, s, z) }}"""
    constants: Weights = {"s": np.float32(scale), "z": np.int8(zero_point)}
    model = model_of(text, constants, opset=13, prepared=False)
    (y,) = Session(model, optimise=False).run({"x": x})
    return np.asarray(y, dtype=np.float32)


@given(st.lists(NUMBERS, min_size=1, max_size=30))
def test_values_in_the_range_are_off_by_half_a_step_at_most(values: list[float]) -> None:
    x = np.array(values, dtype=np.float32)
    scale, zero_point = activation_scale(float(x.min()), float(x.max()))
    assert zero_point != 0
    assert -128 <= zero_point <= 127
    assert np.float32(scale) == scale > 0
    error = np.abs(round_trip(x, scale, zero_point) - x).max()
    assert error <= scale / 2 * (1 + 1e-4)


@example(low=-128.0005, unit=1.0)
@example(low=-128.00197, unit=1.0)
@given(st.floats(-128.6, -127.4), st.floats(1e-3, 1e3))
def test_nearly_symmetric_ranges(low: float, unit: float) -> None:
    ends = np.array([low, 0, low + 255], dtype=np.float32) * np.float32(unit)
    scale, zero_point = activation_scale(float(ends[0]), float(ends[2]))
    assert zero_point != 0
    error = np.abs(round_trip(ends, scale, zero_point) - ends)
    assert error.max() <= scale / 2 * (1 + 1e-4)
    assert error[1] == 0


@pytest.mark.parametrize(
    "low, high", [(0, 0), (0, 1e-30), (-1e-30, 0), (0, 1e30), (5, 9), (-9, -5)]
)
def test_unusual_ranges(low: float, high: float) -> None:
    scale, zero_point = activation_scale(low, high)
    assert np.isfinite(scale) and scale > 0
    assert -128 <= zero_point <= 127
    assert round_trip(np.zeros(1, np.float32), scale, zero_point)[0] == 0


MATRICES = arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=NUMBERS)


@given(MATRICES, st.integers(0, 1))
def test_weights_stay_within_half_a_step(weight: NDArray[np.float32], axis: int) -> None:
    scales = weight_scales(weight, axis)
    steps = quantize_weight(weight, scales, axis)
    assert scales.shape == (weight.shape[axis],)
    assert np.abs(steps.astype(int)).max() <= 126
    along = scales.reshape([-1 if i == axis else 1 for i in (0, 1)])
    error = np.abs(dequantize(steps, scales, axis) - weight)
    assert (error <= along / 2 * (1 + 1e-4)).all()


@given(MATRICES, st.floats(1e-8, 10), st.data())
def test_no_bias_overflows(
    weight: NDArray[np.float32], input_scale: float, data: st.DataObject
) -> None:
    size = len(weight)
    dead = data.draw(st.sets(st.integers(0, size - 1)))
    weight[sorted(dead)] *= 1e-12
    bias = data.draw(arrays(np.float32, size, elements=NUMBERS))
    scales = floored_for_bias(weight_scales(weight, 0), input_scale, bias)
    steps = quantize_bias(bias, input_scale, scales)
    unit = input_scale * scales.astype(np.float64)
    np.testing.assert_allclose(steps * unit, bias, atol=float(unit.max()), rtol=1e-6)
    assert (np.abs(bias / unit) < 2**31 - 1).all()


NAMES = [
    "a",
    'with "quotes"',
    "a.b",
    "'",
    "x\\y",
    "häß/日本",
    "line\nbreak",
    "tab\t",
    "[]",
    "",
    " ",
]


def make_plan(names: list[str]) -> Plan:
    return Plan(
        "w8a8",
        7,
        {name: Activation("int8", -0.1, 1 / 3, 0.1 + 0.2, -128, f"as {name}") for name in names},
        {name: Weight("int8", 0, 32, "round-to-nearest") for name in names},
        {name: 2 for name in names},
    )


def test_a_plan_can_be_read_back(tmp_path: Path) -> None:
    write_plan(make_plan(NAMES), tmp_path / "plan.toml")
    assert read_plan(tmp_path / "plan.toml") == make_plan(NAMES)


@given(st.lists(st.text(st.characters(codec="utf-8")), unique=True, min_size=1, max_size=5))
def test_tensors_in_a_plan_may_have_any_name(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    path = tmp_path_factory.mktemp("plan") / "plan.toml"
    write_plan(make_plan(names), path)
    assert read_plan(path) == make_plan(names)


@given(
    st.floats(max_value=1.0, allow_nan=False, allow_infinity=False),
    st.floats(5e-324, allow_nan=False, allow_infinity=False),
)
def test_numbers_in_a_plan_are_exact(
    tmp_path_factory: pytest.TempPathFactory, low: float, scale: float
) -> None:
    path = tmp_path_factory.mktemp("plan") / "plan.toml"
    plan = Plan("w8a8", 1, {"a": Activation("int8", low, 1.0, scale, 3, "min-max")}, {}, {})
    write_plan(plan, path)
    assert read_plan(path) == plan


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "schema None"),
        (b"schema = 2", "schema 2"),
        (b"schema = 1", "scheme"),
        (b'schema = 1\nscheme = "w8a8"\nsamples = 1\nweights = 3\nactivations = 3', "not a plan"),
        (
            b'schema = 1\nscheme = "w8a8"\nsamples = 1\nweights = {}\n[activations.a]\nlow = 1',
            "not a plan",
        ),
        (b"schema = ", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_files_that_are_no_plan_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=said):
        read_plan(path)


def test_no_plan_at_all(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        read_plan(tmp_path / "none.toml")
    with pytest.raises(ModelError, match="cannot be read"):
        read_plan(tmp_path)


def square(operator: str = "Mul") -> onnx.ModelProto:
    return model_of(
        f"""(float[1,4] x) => (float[1,4] y) {{
            a = Exp (x)
            b = {operator} (x, a)
            y = Neg (b) }}"""
    )


def draws(count: int) -> list[NDArray[np.float32]]:
    return [feeds["x"] for feeds in random_feeds({"x": (1, 4)}, count)]


class Recorded(Progress):
    """The steps that a stage took."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int, int | None]] = []

    def step(self, activity: str, done: int, total: int | None = None) -> None:
        self.steps.append((activity, done, total))


def test_ranges_are_those_of_all_samples() -> None:
    xs = draws(20)
    recorded = Recorded()
    statistics = collect_statistics(
        square(), ["x", "a", "b", "y"], (), ({"x": x} for x in xs), progress=recorded
    )
    assert statistics.count == 20
    assert recorded.steps == [("calibrate", done, None) for done in range(1, 21)]
    x = np.concatenate(xs)
    for name, value in {"x": x, "a": np.exp(x), "b": x * np.exp(x), "y": -x * np.exp(x)}.items():
        expected = (min(0, value.min()), max(0, value.max()))
        seen = statistics.histograms[name]
        assert (seen.low, seen.high) == pytest.approx(expected, rel=1e-5)


def test_ranges_keep_no_sample() -> None:
    alive: list[weakref.ref[NDArray[np.float32]]] = []
    most = 0

    def samples() -> Iterator[dict[str, NDArray[np.float32]]]:
        nonlocal most
        for _ in range(50):
            x = np.full((1, 4), len(alive), np.float32)
            alive.append(weakref.ref(x))
            most = max(most, sum(one() is not None for one in alive))
            yield {"x": x}
            del x

    collect_statistics(square(), ["x", "a", "b", "y"], (), samples())
    assert len(alive) == 50
    assert most <= 2


def test_ranges_of_nothing() -> None:
    with pytest.raises(SamplesError):
        collect_statistics(square(), ["a"], (), [])


def test_infinite_ranges_are_refused() -> None:
    with pytest.raises(ModelError, match="'a' becomes infinite"):
        collect_statistics(square(), ["a"], (), [{"x": np.full((1, 4), 1e4, np.float32)}])
