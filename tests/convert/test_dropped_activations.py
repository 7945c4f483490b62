"""The float model inside a quantized file whose Relus and Clips only its ranges stand for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from graphs import Samples, Weights, model_of, random_feeds
from rockpress.convert.convert import convert
from rockpress.convert.lowering.float_form import float_form
from rockpress.convert.request import ConversionRequest
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.core.graphs.graph import replace_nodes
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.quantize.quantize import quantize

BODY = """(float[1,3,16,16] x) => (float[1,8,16,16] y) {
    c = Conv <pads=[1,1,1,1]> (x, w, b)     r = Relu (c)
    d = Conv <pads=[1,1,1,1]> (r, v, a)     k = Clip (d, low, high)
    e = Add (k, r)      f = Conv (r, u)     p = Add (f, e)      y = Relu (p) }"""
WEIGHTS: Weights = {
    **{"w": (8, 3, 3, 3), "b": (8,), "v": (8, 8, 3, 3), "a": np.full(8, 3.0), "u": (8, 8, 1, 1)},
    **{"low": np.float32(0), "high": np.float32(6)},
}


@pytest.fixture
def samples() -> Samples:
    """Images that drive some of the model's values above 6."""
    return random_feeds({"x": (1, 3, 16, 16)}, 8, scale=2.0)


@pytest.fixture
def quantized(tmp_path: Path, samples: Samples) -> Path:
    """A file without Relu and Clip, as ONNX Runtime's quantize_static makes it."""
    path = tmp_path / "q.onnx"
    quantize(model_of(BODY, WEIGHTS), path, tmp_path / "p.toml", samples, method="min-max")
    model = onnx.load(path)
    dropped = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type in ("Relu", "Clip")}
    nodes = [node for node in model.graph.node if node.output[0] not in dropped]
    for node in nodes:
        node.input[:] = [dropped.get(name, name) for name in node.input]
    replace_nodes(model.graph, nodes)
    onnx.save(model, path)
    return path


def test_they_are_there_again(quantized: Path, samples: Samples) -> None:
    model = prepare_model(onnx.load(quantized))
    assert not {"Relu", "Clip"} & {node.op_type for node in model.graph.node}
    form = float_form(model)
    kinds = [node.op_type for node in form.model.graph.node]
    assert kinds == ["Conv", "Relu", "Conv", "Clip", "Add", "Conv", "Add", "Relu"]
    assert form.plan.types == {}
    original = Session(model_of(BODY, WEIGHTS)).run(samples[0])
    assert sqnr_db(original, Session(form.model).run(samples[0])) > 30


def test_what_is_read_before_its_scale_is_not_clipped() -> None:
    """A reader of the raw value gets what is below the range as well."""
    text = """(float[1,2,4,4] x) => (float[1,2,4,4] y, float[1,2,4,4] z) {
        c = Conv (x, w)     q = QuantizeLinear (c, scale, zero)
        y = DequantizeLinear (q, scale, zero)       z = Sigmoid (c) }"""
    weights: Weights = {"w": (2, 2, 1, 1), "scale": np.float32(0.1), "zero": np.uint8(0)}
    model = model_of(text, weights)
    assert "Relu" not in {node.op_type for node in float_form(model).model.graph.node}


@pytest.mark.toolkit
@pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")
def test_the_float_figure_and_the_hybrid_way_are_right(quantized: Path, samples: Samples) -> None:
    request = ConversionRequest(
        quantized, None, "rk3588", calibration=samples, simulate=samples, quantization="hybrid"
    )
    made = convert(request)
    original = Session(model_of(BODY, WEIGHTS))
    expected = np.concatenate([original.run(sample)[0] for sample in samples])
    assert made.outputs is not None
    assert sqnr_db([expected], [made.outputs[0].reshape(expected.shape)]) > 25
    assert made.closeness.float_db is not None and made.closeness.float_db > 25
