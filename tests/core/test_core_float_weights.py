"""Weights stored in blocks of few bits, without quantized activations: a float model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper, numpy_helper

from graphs import Weights, model_of, random_feeds
from newer_runtime import needs_newer_runtime
from rockpress.core.graphs.model import is_qdq, load_model, save_model
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.pipeline.samples.ready_model import ready_model

BLOCK = 16
RANGES = {"int8": (-127, 128), "uint8": (0, 256), "int4": (-8, 8), "uint4": (0, 16)}


def weight_only(kind: str, block: int) -> ModelProto:
    """Return x -> MatMul -> Relu, its weight (64, 32) in blocks along axis 0, or a scale each."""
    low, high = RANGES[kind]
    random = np.random.default_rng(0)
    shape = (64 // block, 32) if block else (32,)
    dtype = getattr(onnx.TensorProto, kind.upper())
    points = [min(high - 1, max(low, 3))] * int(np.prod(shape))
    node = f"DequantizeLinear <axis = {int(not block)}, block_size = {block}> (w, s, z)"
    text = f"(float[1,64] x) => (float[1,32] y) {{ d = {node} a = MatMul (x, d) y = Relu (a) }}"
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 21]> net {text}')
    steps = random.integers(low, high, 64 * 32).tolist()
    scales = random.uniform(0.01, 0.02, shape).astype(np.float32)
    model.graph.initializer.extend(
        [
            helper.make_tensor("w", dtype, (64, 32), steps),
            helper.make_tensor("z", dtype, shape, points),
            numpy_helper.from_array(scales, "s"),
        ]
    )
    return model


@needs_newer_runtime
@pytest.mark.parametrize("block", [BLOCK, 0])
@pytest.mark.parametrize("kind", RANGES)
def test_weights_in_few_bits_become_floats(kind: str, block: int, tmp_path: Path) -> None:
    save_model(weight_only(kind, block), tmp_path / "m.onnx")
    model = load_model(tmp_path / "m.onnx")
    prepared = prepare_model(model)
    assert [node.op_type for node in prepared.graph.node] == ["MatMul", "Relu"]
    assert not is_qdq(prepared)
    (feeds,) = random_feeds({"x": (1, 64)}, 1)
    # the optimiser would multiply the few bits themselves, with less accuracy
    (expected,) = Session(model, optimise=False).run(feeds)
    (result,) = Session(prepared).run(feeds)
    np.testing.assert_allclose(result, expected, atol=1e-5)


@needs_newer_runtime
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("has_bias", [False, True])
def test_products_of_onnx_runtime_become_matmuls(bits: int, has_bias: bool, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    width, blocks = 32 * bits // 8, 2
    settings = f"K = 64, N = 24, bits = {bits}, block_size = 32, accuracy_level = 4"
    zeros, bias = (", , , bias", {"bias": (24,)}) if has_bias else ("", {})
    weights: Weights = {
        "w": random.integers(0, 256, (24, blocks, width)).astype(np.uint8),
        "s": random.uniform(0.01, 0.02, 24 * blocks).astype(np.float32),
        **bias,
    }
    text = f"""(float[1,3,64] x) => (float[1,3,24] y) {{
        a = com.microsoft.MatMulNBits <{settings}> (x, w, s{zeros}) y = Relu (a) }}"""
    model = model_of(text, weights, domains=["com.microsoft"], prepared=False)
    save_model(model, tmp_path / "m.onnx")
    (warning,) = ready_model(tmp_path / "m.onnx").warnings
    assert warning.code == "weight-dequantized"
    prepared = prepare_model(load_model(tmp_path / "m.onnx"))
    assert not any(node.domain for node in prepared.graph.node)
    (weight,) = [t for t in prepared.graph.initializer if list(t.dims) == [64, 24]]
    steps = np.asarray(weights["w"]).reshape(24, blocks, width)
    if bits == 4:
        steps = np.stack([steps & 15, steps >> 4], -1).reshape(24, blocks, 32)
    centred = steps.astype(np.float32) - 2 ** (bits - 1)
    expected = centred * np.asarray(weights["s"]).reshape(24, blocks, 1)
    np.testing.assert_allclose(numpy_helper.to_array(weight), expected.reshape(24, 64).T, atol=1e-6)
    (feeds,) = random_feeds({"x": (1, 3, 64)}, 1)
    # ONNX Runtime rounds what it multiplies, at that level of accuracy
    (rounded,), (result,) = Session(model).run(feeds), Session(prepared).run(feeds)
    assert sqnr_db([rounded], [result]) > 30


@needs_newer_runtime
def test_that_is_told(tmp_path: Path) -> None:
    save_model(weight_only("int4", BLOCK), tmp_path / "m.onnx")
    (warning,) = ready_model(tmp_path / "m.onnx").warnings
    assert warning.code == "weight-dequantized"
    assert "m.onnx holds quantized weights without quantized activations" in warning.text


def test_a_model_that_quantizes_activations_stays(tmp_path: Path) -> None:
    model = weight_only("int8", 0)
    quantize = helper.make_node("QuantizeLinear", ["x", "k"], ["q"])
    dequantize = helper.make_node("DequantizeLinear", ["q", "k"], ["x8"])
    model.graph.node.insert(0, dequantize)
    model.graph.node.insert(0, quantize)
    model.graph.node[3].input[0] = "x8"
    model.graph.initializer.append(numpy_helper.from_array(np.array(0.02, np.float32), "k"))
    save_model(model, tmp_path / "m.onnx")
    ready = ready_model(tmp_path / "m.onnx")
    assert is_qdq(ready.model) and not ready.warnings
