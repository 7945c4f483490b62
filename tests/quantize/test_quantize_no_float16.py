"""Chips without float16: nothing may be left in float."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import ModelProto

from graphs import Weights, model_of, random_feeds
from rockpress.convert.chips.targets import TARGETS
from rockpress.convert.convert import convert
from rockpress.convert.request import ConversionRequest
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.core.errors import ModelError
from rockpress.core.graphs.graph import Graph
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.quantize.graph_parts.placement import float_nodes, place
from rockpress.quantize.quantize import quantize

pytestmark = pytest.mark.toolkit
needs_toolkit = pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")

# a face recogniser's tail: a PRelu behind a layer, and an embedding of length one
TEXT = """(float[1,3,16,16] x) => (float[1,32] y) {
    c = Conv <pads=[1,1,1,1]> (x, w1, b1)    p = PRelu (c, slope)
    d = Conv <pads=[1,1,1,1], strides=[2,2]> (p, w2, b2)    s = Selu (d)
    m = GlobalAveragePool (s)    f = Flatten (m)    e = Gemm <transB=1> (f, w3, b3)
    l = ReduceL2 <axes=[1], keepdims=1> (e)    y = Div (e, l) }"""
WEIGHTS: Weights = {
    **{"w1": (16, 3, 3, 3), "b1": (16,), "slope": (16, 1, 1), "w2": (32, 16, 3, 3), "b2": (32,)},
    **{"w3": (32, 32), "b3": (32,)},
}
ATTENTION = """(float[1,16,32] x) => (float[1,16,32] y) {
    q = MatMul (x, wq)    k = MatMul (x, wk)    v = MatMul (x, wv)
    t = Transpose <perm=[0,2,1]> (k)    a = MatMul (q, t)    s = Softmax (a)
    o = MatMul (s, v)    y = MatMul (o, wo) }"""

GRU = """(float[6,1,8] x) => (float[6,1,1,8] y) {
    y, last = GRU <hidden_size=8, linear_before_reset=1> (x, w, r, b) }"""
GRU_WEIGHTS: Weights = {"w": (1, 24, 8), "r": (1, 24, 8), "b": (1, 48)}
EINSUM = """(float[1,4,16,8] x) => (float[1,4,16,16] y) {
    q = Einsum <equation="bhnd,de->bhne"> (x, w)
    y = Einsum <equation="bhid,bhjd->bhij"> (q, x) }"""


@pytest.fixture
def net() -> ModelProto:
    return model_of(TEXT, WEIGHTS)


def test_chips_without_float16() -> None:
    lacking = {target.name for target in TARGETS if target.core.float16 is None}
    assert lacking == {"rv1103", "rv1103b", "rv1106", "rv1106b"}


def test_nothing_is_left_in_float(net: ModelProto) -> None:
    graph = Graph(net)
    assert "c" not in place(graph).tensors  # which is computed together with "p"
    whole = set(place(graph, has_float16=False).tensors)
    assert whole == {"x", "c", "p", "d", "s", "m", "f", "e", "l", "y"}
    attention = Graph(model_of(ATTENTION, dict.fromkeys(("wq", "wk", "wv", "wo"), (32, 32))))
    assert "a" not in place(attention).tensors
    assert {"a", "s", "o"} <= set(place(attention, has_float16=False).tensors)


def test_the_plan_says_so(net: ModelProto, tmp_path: Path) -> None:
    samples, paths = random_feeds({"x": (1, 3, 16, 16)}, 4), (tmp_path / "q.onnx", tmp_path / "p")
    assert float_nodes(Graph(net), place(Graph(net)))
    plan = quantize(net, *paths, samples, has_float16=False).plan
    assert plan.float_operators == {}
    assert {"c", "l"} <= plan.activations.keys()


@needs_toolkit
def test_it_is_built_for_such_a_chip(net: ModelProto, tmp_path: Path) -> None:
    samples, path = random_feeds({"x": (1, 3, 16, 16)}, 12), tmp_path / "q.onnx"
    quantize(net, path, tmp_path / "p.toml", samples, has_float16=False)
    made = convert(ConversionRequest(path, None, "rv1106", calibration=samples, simulate=samples))
    assert made.outputs is not None
    expected = Session(net)
    reference = [expected.run(sample)[0].reshape(made.outputs[0][0].shape) for sample in samples]
    assert sqnr_db(reference, list(made.outputs[0])) > 25


@needs_toolkit
@pytest.mark.parametrize(("text", "weights"), [(GRU, GRU_WEIGHTS), (EINSUM, {"w": (8, 8)})])
def test_a_model_without_a_plain_layer_is_built_too(
    text: str, weights: Weights, tmp_path: Path
) -> None:
    """What would stay in float16 elsewhere: its activations get scales, no weight does."""
    model = model_of(text, weights)
    samples, path = random_feeds(model, 8), tmp_path / "q.onnx"
    with pytest.raises(ModelError, match="no convolution") as raised:
        quantize(model, path, tmp_path / "p.toml", samples)
    assert raised.value.hint == "run it with --scheme float16"
    plan = quantize(model, path, tmp_path / "p.toml", samples, has_float16=False).plan
    assert plan.activations and not plan.weights
    made = convert(ConversionRequest(path, None, "rv1106", calibration=samples, simulate=samples))
    assert made.outputs is not None
    expected = Session(model)
    reference = [expected.run(sample)[0].reshape(made.outputs[0][0].shape) for sample in samples]
    assert sqnr_db(reference, list(made.outputs[0])) > 25


def test_without_float_tensors_the_hint_does_not_lead_to_float16(tmp_path: Path) -> None:
    model = model_of("(int64[1,4] x) => (int64[1,4] y) { y = Add (x, x) }")
    with pytest.raises(ModelError, match="no float32 tensor") as raised:
        quantize(
            model, tmp_path / "q.onnx", tmp_path / "p", random_feeds(model, 2), has_float16=False
        )
    assert "--toolkit-quantizer normal" in raised.value.hint
