"""A quantized file alone, where the toolkit does not carry its QDQ form."""

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
from rockpress.core.errors import ToolkitError
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.core.types import Array
from rockpress.quantize.quantize import quantize

pytestmark = pytest.mark.toolkit
needs_toolkit = pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")

SHAPE = (1, 3, 16, 16)
READ_INSIDE = """(float[1,3,16,16] x) => (float[1,16,16,16] r, float[1,8,16,16] s) {
    c = Conv <pads=[1,1,1,1]> (x, w1, b1)
    r = Relu (c)
    d = Conv <pads=[1,1,1,1]> (r, w2, b2)
    s = Relu (d) }"""
LAYERS: Weights = {"w1": (16, 3, 3, 3), "b1": (16,), "w2": (8, 16, 3, 3), "b2": (8,)}


def worst_db(model: onnx.ModelProto, outputs: list[Array], samples: Samples) -> float:
    expected = Session(model)
    columns = zip(*(expected.run(sample) for sample in samples), strict=True)
    return min(
        sqnr_db([np.concatenate(column)], [output.reshape(np.concatenate(column).shape)])
        for column, output in zip(columns, outputs, strict=True)
    )


@needs_toolkit
def test_the_model_inside_is_quantized_by_the_toolkit(tmp_path: Path) -> None:
    """Nothing but the file is given, and it is as good as what it means."""
    model = model_of(READ_INSIDE, LAYERS)
    samples, path = random_feeds({"x": SHAPE}, 8), tmp_path / "q.onnx"
    result = quantize(model, path, tmp_path / "p.toml", samples)
    intended = Session(path, optimise=False)
    columns = zip(*(intended.run(sample) for sample in samples), strict=True)
    possible = worst_db(model, [np.concatenate(column) for column in columns], samples)
    made = convert(
        ConversionRequest(result.path, None, "rk3588", calibration=samples, simulate=samples)
    )
    assert made.quantization == "hybrid"
    assert made.outputs is not None
    assert worst_db(model, made.outputs, samples) > possible - 1


@needs_toolkit
def test_samples_are_asked_for(tmp_path: Path) -> None:
    model, samples = model_of(READ_INSIDE, LAYERS), random_feeds({"x": SHAPE}, 4)
    quantize(model, tmp_path / "q.onnx", tmp_path / "p.toml", samples)
    with pytest.raises(ToolkitError, match="KeyError") as raised:
        convert(ConversionRequest(tmp_path / "q.onnx", None, "rk3588"))
    assert raised.value.hint.startswith("give samples with --calib")


def test_what_has_no_scale_is_float16() -> None:
    """In a file as ONNX Runtime writes them, with uint8 activations.

    The inner value of a layer and its activation is not, as the layer computes both.
    """
    text = """(float[1,2,4,4] x) => (float[1,2,4,4] y) {
        x_q = QuantizeLinear (x, scale, zero)       x_d = DequantizeLinear (x_q, scale, zero)
        w_d = DequantizeLinear (w, scale, none)     c = Conv (x_d, w_d)    r = Relu (c)
        r_q = QuantizeLinear (r, scale, zero)       r_d = DequantizeLinear (r_q, scale, zero)
        s = Softmax (r_d)       d = Conv (s, v)
        y_q = QuantizeLinear (d, scale, zero)       y = DequantizeLinear (y_q, scale, zero) }"""
    steps = np.full((2, 2, 1, 1), 5, np.int8)
    weights: Weights = {"w": steps, "none": np.int8(0), "v": np.ones((2, 2, 1, 1), np.float32)}
    model = model_of(text, {**weights, "scale": np.float32(0.1), "zero": np.uint8(100)})
    form = float_form(model)
    assert form.plan.types == {"s": "float16", "y": "float16"}
    assert form.plan.ranges == dict.fromkeys(("x", "r", "y"), pytest.approx((-10.0, 15.5)))
    assert [node.op_type for node in form.model.graph.node] == ["Conv", "Relu", "Softmax", "Conv"]
    (sample,) = random_feeds({"x": (1, 2, 4, 4)}, 1)
    intended = Session(model, optimise=False).run(sample)[0]
    assert sqnr_db([intended], Session(form.model).run(sample)) > 20
