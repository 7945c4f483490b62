"""Operators that cannot be built: one error that names the node, before anything is built."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphs import Weights, model_of
from rockpress.convert.audit.refusals import require_buildable
from rockpress.core.diagnostics import option
from rockpress.core.errors import ModelError
from rockpress.core.graphs.determinism import require_deterministic
from rockpress.core.graphs.model import load_model, save_model
from rockpress.core.graphs.quantized_operators import require_float_operators
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.progress import SILENT
from rockpress.pipeline.convert_file import convert_file
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import make_recipe

X = "(float[1,4,8,8] x) => (float[1,4,8,8] y) "
IF = """{ m = ReduceMax <keepdims = 0> (x) c = Greater (m, z)
    [here] y = If (c) <then_branch = g () => (float[1,4,8,8] p) { p = Relu (x) },
                       else_branch = h () => (float[1,4,8,8] q) { q = Neg (x) }> }"""
LOOP = """{ c = Cast <to = 7> (n) t = Constant <value = bool {1}> ()
    [here] y = Loop (c, t, x) <body = b (int64 i, bool k, float[1,4,8,8] a) =>
        (bool l, float[1,4,8,8] d) { l = Identity (k) d = Add (a, a) }> }"""
REFUSED: dict[str, tuple[str, Weights, int, str]] = {
    "If": (X + IF, {"z": np.float32(0)}, 17, "values that only a run knows"),
    "Loop": (f"(float n, {X[1:]}{LOOP}", {}, 17, "values that only a run knows"),
    "SplitToSequence": (
        X + "{ [here] s = SplitToSequence <axis = 1> (x) y = ConcatFromSequence <axis = 1> (s) }",
        {},
        17,
        "no sequences",
    ),
    "com.microsoft::Inverse": (
        """(float[1,4,4] x) => (float[1,4,4] y) {
            [here] e = com.microsoft.Inverse (x) y = Relu (e) }""",
        {},
        17,
        "ONNX Runtime's own",
    ),
    "Scan": (
        """(float[6,4] x) => (float[6,4] y) {
            s = Constant <value_floats = [0.0, 0.0, 0.0, 0.0]> ()
            [here] e, y = Scan <num_scan_inputs = 1, body = b (float[4] h, float[4] a) =>
                (float[4] k, float[4] c) { k = Add (h, a) c = Tanh (k) }> (s, x) }""",
        {},
        17,
        "no graph inside a node",
    ),
    "Cast": (
        "(float[4] x) => (float[4] y) { [here] c = Cast <to = 17> (x) y = Cast <to = 1> (c) }",
        {},
        19,
        "no float8",
    ),
    "ai.onnx.ml::Binarizer": (
        "(float[4] x) => (float[4] y) { [here] b = ai.onnx.ml.Binarizer (x) y = Relu (b) }",
        {},
        17,
        "run on no NPU",
    ),
    "ReduceMax": (
        "(bool[4] x) => (bool[1] y) { [here] y = ReduceMax (x) }",
        {},
        20,
        "opset 19, the last that rknn-toolkit2 reads",
    ),
}


@pytest.mark.parametrize("operator", REFUSED)
def test_the_node_is_named(operator: str, tmp_path: Path) -> None:
    text, weights, opset, reason = REFUSED[operator]
    domains = ["com.microsoft", "ai.onnx.ml"]
    model = model_of(text, weights, opset=opset, domains=domains, prepared=False)
    save_model(model, tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=r"node 'here' \(") as caught:
        require_buildable(prepare_model(load_model(tmp_path / "m.onnx")))
    assert f"({operator}) cannot be converted" in caught.value.message
    assert reason in caught.value.message
    assert "--outputs" in caught.value.hint or "outputs=" in caught.value.hint


def test_an_if_that_one_number_decides_can_be_fixed() -> None:
    text = f"(int64 n, {X[1:]}" + IF.replace(
        "m = ReduceMax <keepdims = 0> (x) c = Greater (m, z)", "c = Cast <to = 9> (n)"
    )
    with pytest.raises(ModelError, match="depends on the value of the input 'n'") as caught:
        require_buildable(model_of(text))
    assert option("constant", {"n": 1}) in caught.value.diagnostic.hint


RANDOM = {
    "RandomNormalLike": "[here] r = RandomNormalLike (x)",
    "RandomUniform": "[here] r = RandomUniform <shape = [1,4,8,8]> ()",
    "Bernoulli": "s = Sigmoid (x) [here] r = Bernoulli (s)",
    "Dropout of weights": "[here] r = Dropout (x, ratio, training)",
    "Dropout": """s = Constant <value = float {0.5}> () t = Constant <value = bool {1}> ()
                  [here] r = Dropout (x, s, t)""",
}


@pytest.mark.parametrize("operator", RANDOM)
def test_random_numbers_are_refused(operator: str) -> None:
    weights: Weights = {"ratio": np.float32(0.5), "training": np.array(True)}
    weights = weights if "ratio" in RANDOM[operator] else {}
    original = model_of(f"{X} {{ {RANDOM[operator]} y = Add (x, r) }}", weights, prepared=False)
    name = operator.partition(" ")[0]
    with pytest.raises(ModelError, match=rf"node 'here' \({name}\) draws random numbers"):
        require_deterministic(original, prepare_model(original))


def test_a_dropout_that_is_switched_off_is_taken() -> None:
    model = model_of(f"{X} {{ d = Dropout (x) y = Relu (d) }}", prepared=False)
    require_deterministic(model, model)
    require_buildable(prepare_model(model))


INTEGER = {
    "DynamicQuantizeLinear": """[here] q, s, z = DynamicQuantizeLinear (x)
        y = DequantizeLinear (q, s, z)""",
    "ConvInteger": "c = Cast <to = 2> (x) [here] i = ConvInteger (c, w) y = Cast <to = 1> (i)",
    "com.microsoft::DynamicQuantizeMatMul": """
        [here] y = com.microsoft.DynamicQuantizeMatMul (x, m, step)""",
}


@pytest.mark.parametrize("operator", INTEGER)
def test_operators_in_integers_are_refused(operator: str, tmp_path: Path) -> None:
    arrays: Weights = {
        "w": np.ones((4, 4, 1, 1), np.uint8),  # the type that every ONNX Runtime has
        "m": np.ones((8, 8), np.int8),
        "step": np.float32(0.1),
    }
    text = INTEGER[operator]
    weights = {k: v for k, v in arrays.items() if f" {k})" in text or f" {k}," in text}
    model = model_of(f"{X} {{ {text} }}", weights, domains=["com.microsoft"], prepared=False)
    with pytest.raises(ModelError, match=rf"node 'here' \({operator}\)") as caught:
        require_float_operators(prepare_model(model))
    assert "QuantFormat.QDQ" in caught.value.hint
    save_model(model, tmp_path / "m.onnx")
    np.savez(tmp_path / "x.npz", x=np.zeros((2, 4, 8, 8), np.float32))
    recipe = make_recipe(tmp_path / "m.onnx", calib=tmp_path / "x.npz")
    with pytest.raises(ModelError, match="computes in integers"):
        quantize_file(recipe, tmp_path / "q.onnx", SILENT)
    with pytest.raises(ModelError, match="computes in integers"):
        convert_file(recipe, tmp_path / "m.rknn", SILENT)


def test_a_model_of_constants_alone_is_refused() -> None:
    text = "(float[1,4] x) => (float[4] y) { y = Identity (b) }"
    with pytest.raises(ModelError, match="all of them are constants"):
        require_buildable(model_of(text, {"b": (4,)}))


def test_commands_say_so_at_once(tmp_path: Path) -> None:
    save_model(model_of(f"{X} {{ {RANDOM['Bernoulli']} y = Add (x, r) }}"), tmp_path / "m.onnx")
    np.savez(tmp_path / "x.npz", x=np.zeros((2, 4, 8, 8), np.float32))
    recipe = make_recipe(tmp_path / "m.onnx", calib=tmp_path / "x.npz")
    with pytest.raises(ModelError, match="random numbers"):
        quantize_file(recipe, tmp_path / "q.onnx", SILENT)
    with pytest.raises(ModelError, match="random numbers"):
        convert_file(recipe, tmp_path / "m.rknn", SILENT)
