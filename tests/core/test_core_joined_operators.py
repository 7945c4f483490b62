"""Models that ONNX Runtime's optimiser has gone over: what it joined is taken apart again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto

from graphs import Weights, model_of, random_feeds
from rockpress.core.errors import ModelError
from rockpress.core.graphs.model import load_model
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.session import Session

CONV = "(float[1,3,8,8] x) => (float[1,4,6,6] y) { a = Conv (x, w, b) "
CONV_WEIGHTS: Weights = {"w": (4, 3, 3, 3), "b": (4,)}
GEMM = "(float[2,8] x) => (float[2,5] y) { a = Gemm <transB = 1> (x, w, b) "
NORM = """(float[2,4,8] x) => (float[2,4,8] y) {
    m = ReduceMean <axes = [-1]> (x) d = Sub (x, m) q = Pow (d, two)
    v = ReduceMean <axes = [-1]> (q) e = Add (v, c) r = Sqrt (e) n = Div (d, r)
    t = Mul (n, s) y = Add (t, b) }"""
# what is written, its weights, what ONNX Runtime joins it to, what comes back
BY_OPTIMISER: list[tuple[str, Weights, str, str]] = [
    (CONV + "y = Relu (a) }", CONV_WEIGHTS, "FusedConv", "Conv Relu"),
    (CONV + "y = LeakyRelu <alpha = 0.2> (a) }", CONV_WEIGHTS, "FusedConv", "Conv LeakyRelu"),
    (
        CONV + "y = Clip (a, l, h) }",
        {**CONV_WEIGHTS, "l": np.float32(0), "h": np.float32(6)},
        "FusedConv",
        "Conv Clip",
    ),
    (GEMM + "y = Relu (a) }", {"w": (5, 8), "b": (5,)}, "FusedGemm", "Gemm Relu"),
    (
        """(float[2,3,5] x, float[2,3,7] z) => (float[2,5,7] y) {
            a = Transpose <perm = [0,2,1]> (x) b = MatMul (a, z) y = Mul (b, k) }""",
        {"k": np.float32(0.5)},
        "FusedMatMul",
        "Transpose MatMul Mul",
    ),
    (
        """(float[2,8] x) => (float[2,8] y) {
            a = Add (x, b) d = Div (a, r) e = Erf (d) f = Add (e, o) g = Mul (a, f)
            y = Mul (g, h) }""",
        {"b": (8,), "r": np.float32(2**0.5), "o": np.float32(1), "h": np.float32(0.5)},
        "BiasGelu",
        "Add Div Erf Add Mul Mul",
    ),
]
THREE = "(float[2,4,8] x, float[2,4,8] z) => "
# calls, weights, what is left
BY_HAND: list[tuple[str, Weights, str]] = [
    (
        "(float[2,8] x) => (float[2,8] y) { y = com.microsoft.QuickGelu <alpha = 1.5> (x) }",
        {},
        "Mul Sigmoid Mul",
    ),
    (
        "(float[2,8] x) => (float[2,8] y) { y = com.microsoft.FastGelu (x, b) }",
        {"b": (8,)},
        "Add Mul Mul Mul Add Mul Tanh Add Mul Mul",
    ),
    (
        THREE
        + """(float[2,4,8] y, float[2,4,8] t) {
            y, , , t = com.microsoft.SkipLayerNormalization <epsilon = 0.01> (x, z, s, b) }""",
        {"s": (8,), "b": (8,)},
        "Add Identity LayerNormalization",
    ),
    (
        THREE
        + """(float[2,4,8] y) {
            y = com.microsoft.SkipSimplifiedLayerNormalization <epsilon = 0.01> (x, z, s) }""",
        {"s": (8,)},
        "Add Pow ReduceMean Add Sqrt Div Mul",
    ),
    (
        """(float[1,3,8,8] x, float[1,4,6,6] z) => (float[1,4,6,6] y) {
            y = com.microsoft.FusedConv <activation = "Relu"> (x, w, b, z) }""",
        CONV_WEIGHTS,
        "Conv Add Relu",
    ),
    (
        "(float[2,8] x) => (float[2,8] y) { y = SimplifiedLayerNormalization <axis = -1> (x, s) }",
        {"s": (8,)},
        "Pow ReduceMean Add Sqrt Div Mul",
    ),
]


def optimised(model: ModelProto, path: Path, level: str = "ORT_ENABLE_EXTENDED") -> ModelProto:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
    options.optimized_model_filepath = str(path)
    ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return onnx.load(str(path))


def assert_taken_apart(model: ModelProto, path: Path, operators: str) -> None:
    path.write_bytes(model.SerializeToString())
    prepared = prepare_model(load_model(path))
    assert [node.op_type for node in prepared.graph.node] == operators.split()
    assert {entry.domain for entry in prepared.opset_import} == {""}
    (feeds,) = random_feeds(prepared, 1)
    before, after = Session(model, optimise=False).run(feeds), Session(prepared).run(feeds)
    for expected, result in zip(before, after, strict=True):
        np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize(("text", "weights", "joined", "operators"), BY_OPTIMISER)
def test_what_the_optimiser_joins_is_taken_apart(
    text: str, weights: Weights, joined: str, operators: str, tmp_path: Path
) -> None:
    model = optimised(model_of(text, weights, prepared=False), tmp_path / "m.onnx")
    assert [node.op_type for node in model.graph.node if node.domain] == [joined]
    assert_taken_apart(model, tmp_path / "m.onnx", operators)


def test_a_layer_normalization_before_there_was_one(tmp_path: Path) -> None:
    weights: Weights = {"two": np.float32(2), "c": np.float32(1e-5), "s": (8,), "b": (8,)}
    model = optimised(model_of(NORM, weights, opset=11, prepared=False), tmp_path / "m.onnx")
    assert [node.op_type for node in model.graph.node] == ["LayerNormalization"]
    expected = "ReduceMean Sub Pow ReduceMean Add Sqrt Div Mul Add"
    assert_taken_apart(model, tmp_path / "m.onnx", expected)


@pytest.mark.parametrize(("text", "weights", "operators"), BY_HAND)
def test_what_older_optimisers_joined_is_taken_apart(
    text: str, weights: Weights, operators: str, tmp_path: Path
) -> None:
    model = model_of(text, weights, domains=["com.microsoft"], prepared=False)
    assert_taken_apart(model, tmp_path / "m.onnx", operators)


def test_a_model_for_one_machine_is_refused(tmp_path: Path) -> None:
    model = model_of(CONV + "y = Relu (a) }", CONV_WEIGHTS, prepared=False)
    optimised(model, tmp_path / "m.onnx", "ORT_ENABLE_ALL")
    with pytest.raises(ModelError, match=r"com\.microsoft\.nchwc::Conv") as caught:
        load_model(tmp_path / "m.onnx")
    assert "give the one before" in caught.value.hint
