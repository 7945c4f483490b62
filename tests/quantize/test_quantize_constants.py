"""Constants that int8 operators read: stored in int8 too, exact where they can be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs import Weights, model_of, random_feeds
from rockpress.convert.convert import convert
from rockpress.convert.request import ConversionRequest
from rockpress.core.graphs.graph import Graph
from rockpress.core.graphs.model import load_model
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.quantize.numeric.constant_scales import constant_scale, rounded
from rockpress.quantize.quantize import QuantizeResult, quantize

RANDOM = np.random.default_rng(0)
ROWS = "q = Reshape (s, rows)"
GRID = np.indices((8, 8)).reshape(1, 2, 64).repeat(4, 1) + 0.5
# all of these but the scalar crashed the compiler of 2.5.0 without scales
STORED: dict[str, tuple[str, Weights]] = {
    "scalar": ("y = Mul (s, k)", {"k": np.array(3.3)}),
    "last axis": ("y = Mul (s, k)", {"k": RANDOM.uniform(0.5, 2, 8)}),
    "three axes": (f"{ROWS} y = Add (q, k)", {"k": GRID}),
    "a constant less": (f"{ROWS} y = Sub (k, q)", {"k": GRID}),
    "rows": (f"{ROWS} y = Div (q, k)", {"k": RANDOM.uniform(1, 2, (8, 1))}),
    "two": (f"{ROWS} a = Add (q, k) y = Mul (a, f)", {"k": GRID, "f": GRID[0, :1] * 0 + 8.0}),
}


def quantized(body: str, weights: Weights, folder: Path, wide: str | None = None) -> QuantizeResult:
    text = f"(float[1,3,8,8] x) => (y) {{ c = Conv (x, w) s = Sigmoid (c) {body} }}"
    constants = {"w": (8, 3, 1, 1), "rows": np.array([1, 8, 64]), **weights}
    model = model_of(text, {name: value for name, value in constants.items() if name in text})
    paths = folder / "q.onnx", folder / "p.toml"
    return quantize(model, *paths, random_feeds(model, 8), method="min-max", wide=wide)


@pytest.mark.toolkit
@pytest.mark.parametrize("target", ["rk3588", "rv1106"])
@pytest.mark.parametrize(("body", "weights"), STORED.values(), ids=STORED)
def test_the_chip_computes_what_is_meant(
    tmp_path: Path, body: str, weights: Weights, target: str
) -> None:
    result = quantized(body, weights, tmp_path)
    assert set(result.plan.constants) == {name for name in ("k", "f") if name in weights}
    feeds = random_feeds(load_model(result.path), 4, seed=1)
    conversion = convert(ConversionRequest(result.path, None, target, simulate=feeds))
    codes = {warning.code for warning in conversion.warnings}
    assert "toolkit-crash" not in codes and conversion.quantization == "qdq"
    assert {layer.dtype for layer in conversion.layers} == {"INT8"}
    session = Session(load_model(result.path), optimise=False)
    intended = [session.run(feed)[0].ravel() for feed in feeds]
    assert conversion.outputs is not None
    assert sqnr_db(intended, [output.ravel() for output in conversion.outputs[0]]) > 40


def test_a_constant_that_int8_cannot_hold_stays_in_float(tmp_path: Path) -> None:
    """Small divisors make large results, so their rounding would move these by many steps."""
    small = {"k": np.geomspace(0.01, 1, 8).reshape(8, 1, 1)}
    result = quantized("y = Div (s, k)", small, tmp_path)
    assert result.plan.constants == {}
    graph = Graph(load_model(result.path))
    (divide,) = (node for node in graph.nodes if node.op_type == "Div")
    assert graph.weights[divide.input[1]].shape == (1, 8, 1, 1)


def test_where_the_compiler_wants_a_scale_the_operator_stays_in_float(tmp_path: Path) -> None:
    small = {"k": np.geomspace(0.01, 1, 8).reshape(8, 1)}
    result = quantized(f"{ROWS} y = Div (q, k)", small, tmp_path, wide="float16")
    entry = result.plan.activations["y"]
    assert (entry.dtype, entry.source) == ("float16", "computed with k")
    assert quantized(f"{ROWS} y = Div (q, k)", small, tmp_path).plan.constants["k"].dtype == "int8"


UNTOUCHED: dict[str, tuple[str, Weights]] = {
    "the bias of a product": (
        f"{ROWS} m = MatMul (q, v) y = Add (m, b)",
        {"v": (64, 8), "b": (8,)},
    ),
    "inside a HardSwish": (
        """a = Add (s, three) b = Clip (a, zero, six) m = Mul (s, b) d = Div (m, six)
        y = Conv (d, v)""",
        {"three": np.array(3.0), "zero": np.array(0.0), "six": np.array(6.0), "v": (4, 8, 1, 1)},
    ),
}


@pytest.mark.parametrize(("body", "weights"), UNTOUCHED.values(), ids=UNTOUCHED)
def test_what_the_compiler_joins_is_left_alone(tmp_path: Path, body: str, weights: Weights) -> None:
    assert quantized(body, weights, tmp_path).plan.constants == {}


@given(st.lists(st.integers(-100, 100), min_size=1, max_size=20), st.floats(1e-3, 1e3))
def test_what_lies_on_a_grid_is_exact(steps: list[int], unit: float) -> None:
    values = np.array(steps) * unit
    if np.ptp([*steps, 0]) > 200 or not any(steps) or min(abs(s) for s in steps if s) > 1:
        steps.append(1)
        values = np.array([step for step in steps if abs(step) <= 100]) * unit
    scale, zero_point = constant_scale(values)
    assert zero_point != 0 and -128 <= zero_point <= 127
    np.testing.assert_allclose(rounded(values, scale, zero_point), values, rtol=1e-5, atol=1e-9)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=50))
def test_what_lies_on_none_is_rounded_by_half_a_step(numbers: list[float]) -> None:
    values = np.array(numbers)
    scale, zero_point = constant_scale(values)
    assert zero_point != 0
    assert np.abs(rounded(values, scale, zero_point) - values).max() <= scale * 0.5001 + 1e-6
