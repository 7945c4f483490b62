"""Inputs of bytes: the cast that a graph begins with goes, all else of the kind stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto

from graphs import model_of
from newer_runtime import needs_newer_runtime
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.session import Session

_CONV: dict[str, Any] = {"w": (4, 3, 3, 3), "mean": np.array(120.0), "std": np.array(60.0)}

PLANAR = """(uint8[1,3,8,8] x) => (float[1,4,6,6] y) {
    f = Cast <to = 1> (x) c = Sub (f, mean) n = Div (c, std) y = Conv (n, w) }"""
# channels last: the cast before what moves the values, and after it
LAST = """(uint8[1,8,8,3] x) => (float[1,4,6,6] y) {
    f = Cast <to = 1> (x) t = Transpose <perm = [0, 3, 1, 2]> (f)
    c = Sub (t, mean) n = Div (c, std) y = Conv (n, w) }"""
MOVED = """(uint8[1,8,8,3] x) => (float[1,4,6,6] y) {
    t = Transpose <perm = [0, 3, 1, 2]> (x) g = Gather <axis = 1> (t, order)
    f = Cast <to = 1> (g) c = Sub (f, mean) n = Div (c, std) y = Conv (n, w) }"""
HALF = """(uint8[1,3,8,8] x) => (float[1,4,6,6] y) {
    f = Cast <to = 10> (x) d = Cast <to = 1> (f)
    c = Sub (d, mean) n = Div (c, std) y = Conv (n, w) }"""
TWICE = """(uint8[1,3,8,8] x, float[1,3,8,8] z) => (float[1,4,6,6] y) {
    f = Cast <to = 1> (x) g = Cast <to = 1> (x) m = Mul (f, g) a = Add (m, z) y = Conv (a, w) }"""


SCALED = """(uint8[1,3,8,8] x) => (float[1,4,6,6] y) {
    f = DequantizeLinear (x, scale, zero) y = Conv (f, w) }"""
SIGNED = """(int8[1,3,8,8] x) => (float[1,4,6,6] y) {
    f = Cast <to = 1> (x) g = DequantizeLinear (x, scale) m = Add (f, g) y = Conv (m, w) }"""


def input_types(model: ModelProto) -> list[int]:
    return [value.type.tensor_type.elem_type for value in model.graph.input]


def raw(text: str) -> ModelProto:
    weights: dict[str, Any] = {
        **_CONV,
        "order": np.array([2, 1, 0]),
        "scale": np.array(0.02, np.float32),
        "zero": np.array(128, np.uint8),
    }
    return model_of(text, {k: v for k, v in weights.items() if k in text}, prepared=False)


@pytest.mark.parametrize("text", [PLANAR, LAST, MOVED, HALF, TWICE, SCALED, SIGNED])
def test_the_cast_goes_and_whole_numbers_give_the_same(text: str) -> None:
    model = raw(text)
    prepared = prepare_model(model)
    assert set(input_types(prepared)) == {TensorProto.FLOAT}
    assert not {"Cast", "DequantizeLinear"} & {node.op_type for node in prepared.graph.node}
    random = np.random.default_rng(0)
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    limits = np.iinfo(np.int8 if text == SIGNED else np.uint8)
    feeds = {"x": random.integers(limits.min, limits.max + 1, shape).astype(limits.dtype)}
    if "z" in [value.name for value in model.graph.input]:
        feeds["z"] = random.normal(size=(1, 3, 8, 8)).astype(np.float32)
    (expected,) = Session(model).run(feeds)
    (result,) = Session(prepared).run({**feeds, "x": feeds["x"].astype(np.float32)})
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


INDICES = "(uint8[1,4] x) => (float[1,4,8] y) { i = Cast <to = 7> (x) y = Gather (table, i) }"
TOKENS = "(int64[1,4] x) => (float[1,4,8] y) { y = Gather (table, x) }"
MASK = "(int64[1,4] x) => (float[1,4] y) { f = Cast <to = 1> (x) y = Relu (f) }"
COMPARED = """(uint8[1,3,8,8] x) => (float[1,3,8,8] y, bool[1,3,8,8] z) {
    f = Cast <to = 1> (x) y = Relu (f) z = Greater (x, limit) }"""
RETURNED = """(uint8[1,3,8,8] x) => (float[1,3,8,8] y, uint8[1,3,64] z) {
    f = Cast <to = 1> (x) y = Relu (f) z = Reshape (x, flat) }"""


def test_what_is_quantized_inside_too_stays() -> None:
    text = """(uint8[1,4] x) => (float[1,4] y) {
        f = DequantizeLinear (x, s) q = QuantizeLinear (f, s) y = DequantizeLinear (q, s) }"""
    model = model_of(text, {"s": np.float32(0.1)}, prepared=False)
    assert input_types(prepare_model(model)) == [TensorProto.UINT8]


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        (INDICES, TensorProto.UINT8),
        (TOKENS, TensorProto.INT64),
        (MASK, TensorProto.INT64),
        pytest.param(COMPARED, TensorProto.UINT8, marks=needs_newer_runtime),
        (RETURNED, TensorProto.UINT8),
    ],
)
def test_other_integers_stay_what_they_are(text: str, dtype: int) -> None:
    weights: dict[str, Any] = {
        "table": (256, 8),
        "limit": np.array(7, np.uint8),
        "flat": np.array([1, 3, 64]),
    }
    model = model_of(text, {k: v for k, v in weights.items() if k in text}, prepared=False)
    assert input_types(prepare_model(model)) == [dtype]


def test_a_branch_that_reads_the_input_leaves_it_as_it_is() -> None:
    text = """(uint8[1,4] x, bool c) => (float[1,4] y) {
        f = Cast <to = 1> (x)
        y = If (c) <then_branch = then () => (float[1,4] a) { a = Cast <to = 1> (x) },
                    else_branch = other () => (float[1,4] b) { b = Relu (f) }> }"""
    assert input_types(prepare_model(model_of(text, prepared=False)))[0] == TensorProto.UINT8
