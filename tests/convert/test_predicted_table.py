"""The layer table that is predicted without a build: what is joined, divided, converted, moved."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from onnx import ModelProto

from graphs import Weights, model_of
from rockpress.convert.chips.compiler_log import Layer
from rockpress.convert.chips.targets import find_target
from rockpress.convert.latency.estimate import estimate
from rockpress.convert.oracle import Oracle
from rockpress.convert.predicted.predicted_table import LayerPredictor, predicted_layers
from rockpress.core.graphs.graph import Graph

RK3588, RK3576, RK3566 = map(find_target, ("rk3588", "rk3576", "rk3566"))
CONV = "kernel_shape=[3,3], pads=[1,1,1,1]"
ACTIVATIONS = {
    "ConvRelu": "y = Relu(c)",
    "ConvClip": "y = Clip(c, low, high)",
    "ConvSigmoid": "y = Sigmoid(c)",
    "ConvExSwish": "s = Sigmoid(c) y = Mul(c, s)",
    "ConvHardSwish": "s = HardSigmoid<alpha=0.16666667>(c) y = Mul(c, s)",
}


def inner(rows: tuple[Layer, ...]) -> list[str]:
    """The operators between inputs and outputs; those of the CPU are marked."""
    return [
        row.op if row.runs_on == "NPU" else f"{row.op} on the CPU"
        for row in rows
        if not row.is_boundary
    ]


@pytest.mark.parametrize("op", ACTIVATIONS)
def test_an_activation_is_part_of_its_convolution(op: str) -> None:
    text = f"(float[1,16,8,8] x) => (y) {{ c = Conv<{CONV}>(x, w, b) {ACTIVATIONS[op]} }}"
    weights: Weights = {"w": (32, 16, 3, 3), "b": (32,), "low": 0.0, "high": 6.0}
    (row,) = predicted_layers(model_of(text, weights), RK3588)[1:-1]
    assert (row.op, row.input_shapes[1], row.output_shapes) == (
        op,
        (32, 16, 3, 3),
        ((1, 32, 8, 8),),
    )
    assert row.npu_cycles > 0


def residual(kind: str) -> ModelProto:
    kernel = f"{CONV}, group=16" if kind == "depthwise" else CONV
    text = f"""(float[1,16,8,8] x) => (y) {{ c = Conv<{CONV}>(x, u) r = Relu(c)
        d = Conv<{CONV}>(r, v) q = Relu(d) e = Conv<{kernel}>(q, w) s = Add(r, e) y = Relu(s) }}"""
    shape = (16, 1, 3, 3) if kind == "depthwise" else (16, 16, 3, 3)
    return model_of(text, {"u": (16, 16, 3, 3), "v": (16, 16, 3, 3), "w": shape})


def test_a_sum_is_part_of_a_dense_convolution_alone() -> None:
    dense = inner(predicted_layers(residual("dense"), RK3588))
    assert dense == ["ConvRelu", "ConvRelu", "ConvAddRelu"]
    depthwise = inner(predicted_layers(residual("depthwise"), RK3588))
    assert depthwise == ["ConvRelu", "ConvRelu", "Conv", "AddRelu"]


def test_the_input_of_a_convolution_is_added_by_its_kernel() -> None:
    text = f"""(float[1,16,8,8] x) => (y)
        {{ c = Conv<{CONV}>(x, v) d = Conv<{CONV}>(c, w) s = Add(c, d) y = Relu(s) }}"""
    model = model_of(text, dict.fromkeys("vw", (16, 16, 3, 3)))
    assert inner(predicted_layers(model, RK3588)) == ["Conv", "ConvRelu"]


def test_many_weights_of_an_output_are_divided() -> None:
    text = f"""(float[1,512,8,8] x) => (y)
        {{ c = Conv<{CONV}>(x, w) s = Sigmoid(c) y = Mul(c, s) }}"""
    model = model_of(text, {"w": (16, 512, 3, 3)})
    assert inner(predicted_layers(model, RK3588)) == ["Split", "Conv", "ConvAdd", "exSwish"]
    assert inner(predicted_layers(model, RK3576)) == ["ConvExSwish"]
    # with scales there is none for the first part of the sum
    graph = Graph(model)
    names = {*graph.names}
    assert inner(LayerPredictor(graph, RK3588).layers("int8", names)) == ["ConvExSwish"]


def joined(outputs: int) -> ModelProto:
    text = f"""(float[1,16,8,8] x) => (y) {{ a = Conv<{CONV}>(x, v) r = Relu(a)
        d = Conv<{CONV}>(x, u) s = Relu(d) j = Concat<axis=1>(r, s) y = Conv(j, w) }}"""
    weights = {"v": (32, 16, 3, 3), "u": (32, 16, 3, 3), "w": (outputs, 64, 1, 1)}
    return model_of(text, weights)


def test_a_concat_is_summed_over_where_few_outputs_follow() -> None:
    few = inner(predicted_layers(joined(16), RK3588))
    assert few == ["ConvRelu", "ConvRelu", "Conv", "ConvAdd"]
    many = inner(predicted_layers(joined(64), RK3588))
    assert many == ["ConvRelu", "ConvRelu", "Concat", "Conv"]


def test_with_scales_a_sum_over_a_concat_runs_in_float16() -> None:
    graph = Graph(joined(16))
    rows = LayerPredictor(graph, RK3588).layers("int8", graph.names)
    formats = Counter((row.op, row.dtype) for row in rows if row.op.startswith(("ConvAdd", "ex")))
    assert formats == {
        ("exDataConvert", "INT8"): 2,
        ("ConvAdd", "FLOAT16"): 1,
        ("exDataConvert", "FLOAT16"): 1,
    }


def test_what_has_no_scale_runs_in_float16_between_conversions() -> None:
    text = f"""(float[1,16,8,8] x) => (y) {{ a = Conv<{CONV}>(x, u) b = Conv<{CONV}>(a, v)
        y = Conv<{CONV}>(b, w) }}"""
    graph = Graph(model_of(text, dict.fromkeys("uvw", (16, 16, 3, 3))))
    predictor = LayerPredictor(graph, RK3588)
    rows = predictor.layers("int8", graph.names - {"a"})
    assert [(row.op, row.dtype) for row in rows[1:-1]] == [
        ("exDataConvert", "INT8"),
        ("Conv", "FLOAT16"),
        ("Conv", "FLOAT16"),
        ("exDataConvert", "FLOAT16"),
        ("Conv", "INT8"),
    ]
    assert predictor.ms("int8", graph.names - {"a"}) > predictor.ms("int8", graph.names)


def test_operators_that_the_chip_lacks_run_on_the_cpu() -> None:
    model = model_of(f"(float[1,16,8,8] x) => (y) {{ c = Conv<{CONV}>(x, w) y = Sin(c) }}", SMALL)
    assert inner(predicted_layers(model, RK3588)) == ["Conv", "Sin on the CPU"]


SMALL = {"w": (16, 16, 3, 3)}


def attention() -> ModelProto:
    text = """(float[1,16,32] x) => (float[1,16,32] y) {
        q = MatMul(x, a) k = MatMul(x, b) v = MatMul(x, c)
        qr = Reshape(q, heads) kr = Reshape(k, heads) vr = Reshape(v, heads)
        qt = Transpose<perm=[0,2,1,3]>(qr) kt = Transpose<perm=[0,2,3,1]>(kr)
        vt = Transpose<perm=[0,2,1,3]>(vr) s = MatMul(qt, kt) z = Mul(s, scale)
        p = Softmax(z)
        o = MatMul(p, vt)
        t = Transpose<perm=[0,2,1,3]>(o) f = Reshape(t, flat) y = MatMul(f, d) }"""
    weights = dict.fromkeys("abcd", (32, 32))
    shapes = {"heads": [1, 16, 4, 8], "flat": [1, 16, 32]}
    values = {name: np.array(shape, np.int64) for name, shape in shapes.items()}
    return model_of(text, {**weights, **values, "scale": 0.5})


def test_attention_is_one_operator_where_the_npu_has_a_softmax() -> None:
    operators = Counter(inner(predicted_layers(attention(), RK3588, "float16")))
    assert operators["exSDPAttention"] == 1
    assert operators["Conv"] == 4
    assert "exMatMul" not in operators
    without = Counter(inner(predicted_layers(attention(), RK3566, "float16")))
    assert without["exMatMul"] == 2
    assert without["exSoftmax13 on the CPU"] == 1


BLOCKS = f"""(float[1,3,32,32] x) => (y) {{ a = Conv<{CONV}, strides=[2,2]>(x, w0, b0)
    sa = Sigmoid(a) ha = Mul(a, sa) b = Conv<{CONV}>(ha, w1, b1) rb = Relu(b)
    m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(rb) u = Resize<mode="nearest">(m, , scales)
    j = Concat<axis=1>(u, ha) c = Conv(j, w2, b2) sc = Sigmoid(c) hc = Mul(c, sc)
    d = Conv<{CONV}>(hc, w3, b3) s = Add(d, hc) g = GlobalAveragePool(s) y = Conv(g, w4, b4) }}"""
WEIGHTS: Weights = {
    **{"w0": (32, 3, 3, 3), "w1": (64, 32, 3, 3), "w2": (32, 96, 1, 1), "w3": (32, 32, 3, 3)},
    **{"w4": (16, 32, 1, 1), "b0": (32,), "b1": (64,), "b2": (32,), "b3": (32,), "b4": (16,)},
    "scales": np.array([1.0, 1.0, 2.0, 2.0], np.float32),
}


@pytest.mark.toolkit
@pytest.mark.parametrize("dtype", ["int8", "float16"])
def test_a_build_prints_what_was_predicted(dtype: str) -> None:
    model = model_of(BLOCKS, WEIGHTS)
    with Oracle() as oracle:
        table = oracle.layers(model, "rk3588", dtype)
    predicted = predicted_layers(model, RK3588, dtype)
    assert inner(predicted) == inner(table)
    built, expected = estimate(table, RK3588), estimate(predicted, RK3588)
    assert built is not None and expected is not None
    assert expected.ms == pytest.approx(built.ms, rel=0.02)
