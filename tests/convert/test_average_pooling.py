"""Average pooling of quantized tensors keeps its own scale in the toolkit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto

from graphs import Weights, model_of, random_feeds
from rockpress.convert.convert import Conversion, convert
from rockpress.convert.lowering.average_pooling import with_finer_means
from rockpress.convert.request import ConversionRequest
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.core.graphs.model import save_model
from rockpress.core.session import Session
from rockpress.pipeline.convert_file import convert_file
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.quantize.quantize import quantize
from rockpress.quantize.rendering.qdq import insert_qdq

toolkit = pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")
SCALES: Weights = {"s": np.float32(0.03), "t": np.float32(0.0043), "z": np.int8(-3)}
PLANE = "float[1,4,9,9]"


def pooled(pooling: str, size: str, source: str = PLANE, opset: int = 13) -> ModelProto:
    """Q, DQ, an average pooling whose scale is finer than that of what it reads, Q, DQ."""
    text = f"""({source} x) => (float[1,4,{size}] y) {{
        q = QuantizeLinear (x, s, z)
        d = DequantizeLinear (q, s, z)
        p = {pooling} (d)
        r = QuantizeLinear (p, t, z)
        y = DequantizeLinear (r, t, z) }}"""
    model = model_of(text, SCALES, prepared=False, opset=opset)
    return onnx.shape_inference.infer_shapes(model)


def operators(model: ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node if "Linear" not in node.op_type]


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize(
    ("pooling", "size", "source", "operator"),
    [
        ("GlobalAveragePool", "1,1", PLANE, "Conv"),
        ("GlobalAveragePool", "1", "float[1,4,16]", "Conv"),
        ("GlobalAveragePool", "1,1", "float[1,4,9,17]", "ReduceMean"),
        ("GlobalAveragePool", "1", "float[1,4,40]", "ReduceMean"),
        ("GlobalAveragePool", "1,1,1", "float[1,4,3,5,6]", "ReduceMean"),
        ("AveragePool <kernel_shape=[9,9]>", "1,1", PLANE, "Conv"),
        ("AveragePool <kernel_shape=[1,20]>", "1,1", "float[1,4,1,20]", "ReduceMean"),
        ("AveragePool <kernel_shape=[2,3]>", "8,7", PLANE, "Conv"),
        ("AveragePool <kernel_shape=[2], strides=[2]>", "20", "float[1,4,40]", "Conv"),
        (
            "AveragePool <kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>",
            "9,9",
            PLANE,
            "Conv",
        ),
        ("AveragePool <kernel_shape=[3,3], strides=[3,3], ceil_mode=1>", "3,3", PLANE, "Conv"),
    ],
)
def test_another_form_says_the_same(
    pooling: str, size: str, source: str, operator: str, opset: int
) -> None:
    model = pooled(pooling, size, source, opset)
    before = model.SerializeToString()
    changed = with_finer_means(model)
    onnx.checker.check_model(changed, full_check=True)
    assert operators(changed) == [operator]
    assert model.SerializeToString() == before
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    wanted, got = (Session(form, optimise=False).run({"x": x})[0] for form in (model, changed))
    assert np.abs(wanted - got).max() <= 0.0044  # a step, where a sum ends halfway
    assert (wanted == got).mean() > 0.99


@pytest.mark.parametrize(
    ("pooling", "size"),
    [
        ("AveragePool <kernel_shape=[3,3], pads=[1,1,1,1]>", "9,9"),
        ("AveragePool <kernel_shape=[2,2], strides=[2,2], ceil_mode=1>", "5,5"),
        ('AveragePool <kernel_shape=[2,2], auto_pad="SAME_UPPER">', "9,9"),
    ],
)
def test_a_window_that_is_smaller_at_the_border_stays(pooling: str, size: str) -> None:
    model = pooled(pooling, size)
    assert with_finer_means(model) == model


def test_what_is_not_quantized_stays() -> None:
    text = "(float[1,4,9,9] x) => (float[1,4,1,1] y) { y = GlobalAveragePool (x) }"
    model = onnx.shape_inference.infer_shapes(model_of(text, prepared=False))
    assert with_finer_means(model) is model


def test_a_scale_that_is_no_finer_stays() -> None:
    model = pooled("AveragePool <kernel_shape=[2,2]>", "8,8")
    scales = [tensor for tensor in model.graph.initializer if tensor.name == "t"]
    scales[0].CopyFrom(onnx.numpy_helper.from_array(np.array(0.028, np.float32), "t"))
    assert with_finer_means(model) is model


def converted(
    folder: Path, pooling: str, shape: tuple[int, ...], size: str, channels: int = 32
) -> Conversion:
    """Quantize a convolution, a Relu and a pooling, and build them."""
    plane = ",".join(map(str, shape))
    text = f"""(float[1,3,{plane}] x) => (float[1,{channels},{size}] y) {{
        c = Conv <pads = {[1] * 2 * len(shape)}> (x, w)
        r = Relu (c)
        y = {pooling} (r) }}"""
    model = folder / "m.onnx"
    weight = (channels, 3, *[3] * len(shape))
    onnx.save(model_of(text, {"w": weight}, prepared=False), model)
    samples = np.random.default_rng(1).normal(size=(8, 3, *shape)).astype(np.float32)
    np.savez(folder / "x.npz", x=samples)
    recipe = make_recipe(model, calib=folder / "x.npz", method="min-max", mixed="off")
    quantize_file(recipe, folder / "q.onnx")
    again = make_recipe(folder / "q.onnx", calib=folder / "x.npz")
    made = convert_file(again, folder / "m.rknn")
    assert (made.quantization, made.level) == ("qdq", 3)
    return made


@pytest.mark.toolkit
@toolkit
@pytest.mark.parametrize(
    ("pooling", "shape", "size"),
    [
        ("GlobalAveragePool", (32, 32), "1,1"),
        ("GlobalAveragePool", (4, 16, 16), "1,1,1"),
        ("GlobalAveragePool", (256,), "1"),
        ("AveragePool <kernel_shape=[2,2], strides=[2,2]>", (16, 16), "8,8"),
        (
            "AveragePool <kernel_shape=[13,13], pads=[6,6,6,6], count_include_pad=1>",
            (28, 28),
            "28,28",
        ),
    ],
)
def test_a_mean_is_as_fine_as_its_scale(
    pooling: str, shape: tuple[int, ...], size: str, tmp_path: Path
) -> None:
    """With the scale of their input they are 32 to 37 dB from the intended model."""
    made = converted(tmp_path, pooling, shape, size)
    assert made.closeness.intended_db is not None and made.closeness.intended_db > 43


@pytest.mark.toolkit
@toolkit
@pytest.mark.parametrize("shape", [(7, 7), (16, 16), (3, 16)])
def test_the_mean_of_a_small_plane_is_exact(shape: tuple[int, int], tmp_path: Path) -> None:
    made = converted(tmp_path, "GlobalAveragePool", shape, "1,1")
    assert made.closeness.intended_db is not None and made.closeness.intended_db > 100
    assert {layer.dtype for layer in made.layers} == {"INT8"}


SQUEEZED = """(float[1,3,14,14] x) => (float[1,10] y) {
    c = Conv <pads=[1,1,1,1]> (x, w1)
    plane = Relu (c)
    m = GlobalAveragePool (plane)
    a = Conv (m, w2)
    b = Relu (a)
    d = Conv (b, w3)
    gate = HardSigmoid <alpha=0.1666667, beta=0.5> (d)
    gated = Mul (plane, gate)
    e = Conv (gated, w4)
    h = Relu (e)
    p = GlobalAveragePool (h)
    f = Flatten (p)
    y = Gemm <transB=1> (f, w5) }"""
SQUEEZED_WEIGHTS: Weights = {
    **{"w1": (16, 3, 3, 3), "w2": (8, 16, 1, 1), "w3": (16, 8, 1, 1)},
    **{"w4": (24, 16, 1, 1), "w5": (10, 24)},
}


@pytest.mark.toolkit
@toolkit
def test_a_mean_beside_what_is_float16_is_built_as_it_is(tmp_path: Path) -> None:
    """Without a bias of its own the compiler aborts, and keeps all conversions in a second try."""
    model = model_of(SQUEEZED, SQUEEZED_WEIGHTS)
    few = random_feeds({"x": (1, 3, 14, 14)}, 6, 0)
    plan = quantize(model, tmp_path / "i.onnx", tmp_path / "p", few, method="min-max").plan
    plan.activations["gated"] = replace(plan.activations["gated"], dtype="float16")
    save_model(insert_qdq(model, plan), tmp_path / "q.onnx")
    made = convert(ConversionRequest(tmp_path / "q.onnx", None, "rk3588", calibration=few))
    assert (made.quantization, made.level, made.disabled) == ("qdq", 3, ())
    assert made.closeness.intended_db is not None and made.closeness.intended_db > 40


@pytest.mark.parametrize(
    ("pooling", "operator"),
    [("GlobalAveragePool", "ReduceMean"), ("AveragePool <kernel_shape=[9,9]>", "Conv")],
)
def test_in_several_shapes_a_plane_has_no_size(pooling: str, operator: str) -> None:
    changed = with_finer_means(pooled(pooling, "1,1"), has_several_shapes=True)
    assert operators(changed) == [operator]
