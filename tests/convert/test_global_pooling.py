"""Global average pooling of quantized planes keeps its own scale in the toolkit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto

from graphs import Weights, model_of
from rockpress.convert.lowering.global_pooling import pool_by_mean
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.core.session import Session
from rockpress.pipeline.convert_file import convert_file
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import make_recipe

QUANTIZED = """(float[1,4,9,9] x) => (float[1,4,1,1] y) {
    q = QuantizeLinear (x, s, z)
    d = DequantizeLinear (q, s, z)
    p = GlobalAveragePool (d)
    r = QuantizeLinear (p, t, z)
    y = DequantizeLinear (r, t, z) }"""
SCALES: Weights = {"s": np.float32(0.03), "t": np.float32(0.004), "z": np.int8(-3)}


def pooled(text: str, opset: int) -> tuple[ModelProto, ModelProto]:
    model = model_of(text, SCALES if "q =" in text else None, prepared=False, opset=opset)
    model = onnx.shape_inference.infer_shapes(model)
    changed = ModelProto.FromString(model.SerializeToString())
    pool_by_mean(changed)
    return model, changed


@pytest.mark.parametrize("opset", [13, 18])
def test_a_mean_says_the_same(opset: int) -> None:
    model, changed = pooled(QUANTIZED, opset)
    onnx.checker.check_model(changed)
    assert [node.op_type for node in changed.graph.node][2] == "ReduceMean"
    x = np.random.default_rng(0).normal(size=(1, 4, 9, 9)).astype(np.float32)
    before, after = (Session(one, optimise=False).run({"x": x})[0] for one in (model, changed))
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("opset", [13, 18])
def test_what_is_not_quantized_stays(opset: int) -> None:
    text = "(float[1,4,9,9] x) => (float[1,4,1,1] y) { y = GlobalAveragePool (x) }"
    model, changed = pooled(text, opset)
    assert changed == model


@pytest.mark.toolkit
@pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")
def test_the_mean_of_a_large_plane_is_as_fine_as_its_scale(tmp_path: Path) -> None:
    """As a GlobalAveragePool the toolkit leaves 37 dB of it."""
    text = """(float[1,3,32,32] x) => (float[1,32,1,1] y) {
        c = Conv <pads = [1,1,1,1]> (x, w)
        r = Relu (c)
        y = GlobalAveragePool (r) }"""
    model = tmp_path / "m.onnx"
    onnx.save(model_of(text, {"w": (32, 3, 3, 3)}, prepared=False), model)
    samples = np.random.default_rng(1).normal(size=(8, 3, 32, 32)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=samples)
    recipe = make_recipe(model, calib=tmp_path / "x.npz", method="min-max", mixed="off")
    quantize_file(recipe, tmp_path / "q.onnx")
    again = make_recipe(tmp_path / "q.onnx", calib=tmp_path / "x.npz")
    made = convert_file(again, tmp_path / "m.rknn")
    assert made.quantization == "qdq"
    assert made.closeness.intended_db is not None and made.closeness.intended_db > 43
