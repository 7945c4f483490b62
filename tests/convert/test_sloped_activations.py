"""LeakyRelu and PRelu behind a layer are computed in int8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto

from graphs import Weights, model_of
from rockpress.convert.convert import Conversion
from rockpress.convert.lowering.sloped_activations import with_scaled_slopes
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.core.graphs.model import load_model
from rockpress.pipeline.convert_file import convert_file
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import make_recipe

needs_toolkit = pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")
FIRST = "c = Conv <pads=[1,1,1,1]> (x, w, b)"
SHAPES: Weights = {
    "w": (32, 16, 3, 3),
    "b": (32,),
    "v": (16, 32, 1, 1),
    "u": (32, 32, 1, 1),
    "g": (32, 16, 1, 1),
    "t": (16, 32, 1, 1),
    "deep": (32, 1, 3, 3),
    "twice": (64, 1, 3, 3),
    "n": (16, 64, 1, 1),
    "s": np.linspace(-0.2, 0.6, 32).reshape(1, 32, 1, 1),
    "k": (16, 24),
    "bias": (24,),
    "slopes": np.linspace(-0.2, 0.6, 24),
    "l": (24, 8),
}


def quantized(nodes: str, folder: Path, *, is_flat: bool = False) -> Path:
    shapes = ("1,16", "1,8") if is_flat else ("1,16,12,12", "1,16,12,12")
    text = f"(float[{shapes[0]}] x) => (float[{shapes[1]}] y) {{ {nodes} }}"
    onnx.save(model_of(text, SHAPES, prepared=False), folder / "m.onnx")
    size = tuple(map(int, shapes[0].split(",")))[1:]
    samples = np.random.default_rng(1).normal(size=(10, *size)).astype(np.float32)
    np.savez(folder / "x.npz", x=samples)
    recipe = make_recipe(folder / "m.onnx", calib=folder / "x.npz", method="min-max", mixed="off")
    quantize_file(recipe, folder / "q.onnx")
    return folder / "q.onnx"


def converted(file: Path, level: int) -> Conversion:
    recipe = make_recipe(file, calib=file.with_name("x.npz"), toolkit_level=level)
    return convert_file(recipe, file.with_suffix(".rknn"))


def pairs_before_slopes(model: ModelProto) -> list[bool]:
    """Whether each sloped activation reads what has a scale."""
    makers = {name: node.op_type for node in model.graph.node for name in node.output}
    slopes = [node for node in model.graph.node if node.op_type in ("LeakyRelu", "PRelu")]
    return [makers[node.input[0]] == "DequantizeLinear" for node in slopes]


JOINED = {
    "prelu": f"{FIRST} p = PRelu (c, s) y = Conv (p, v)",
    "leaky": f"{FIRST} p = LeakyRelu <alpha=0.2> (c) y = Conv (p, v)",
    "output": f"{FIRST} p = Relu (c) d = Conv (p, v) y = LeakyRelu <alpha=0.1> (d)",
    "sum": f"{FIRST} e = Relu (c) d = Conv (e, u) a = Add (d, e) p = PRelu (a, s) y = Conv (p, v)",
}
DEPTHWISE = f"""{FIRST} e = Relu (c) d = Conv <group=32, pads=[1,1,1,1]> (e, deep)
    p = LeakyRelu <alpha=0.1> (d) y = Conv (p, v)"""
TWICE = DEPTHWISE.replace("deep", "twice").replace("(p, v)", "(p, n)")
FLAT = "d = MatMul (x, k) c = Add (d, bias) p = PRelu (c, slopes) y = MatMul (p, l)"
LEFT = {
    "grouped": f"{FIRST} d = Conv <group=2> (c, g) p = LeakyRelu (d) y = Conv (p, v)",
    "transposed": "c = ConvTranspose (x, t) p = LeakyRelu (c) y = Conv (p, v)",
    "stored sum": f"""{FIRST} e = Relu (c) m = MaxPool <kernel_shape=[1,1]> (e)
        a = Add (e, m) p = LeakyRelu (a) y = Conv (p, v)""",
    "relu": f"{FIRST} p = Relu (c) y = Conv (p, v)",
}


@pytest.mark.parametrize("nodes", JOINED.values(), ids=JOINED)
def test_the_scale_is_put_before_what_is_joined(nodes: str, tmp_path: Path) -> None:
    model = load_model(quantized(nodes, tmp_path))
    before = model.SerializeToString()
    assert not any(pairs_before_slopes(model))
    changed = with_scaled_slopes(model)
    assert all(pairs_before_slopes(changed))
    onnx.checker.check_model(changed, full_check=True)
    assert model.SerializeToString() == before
    assert with_scaled_slopes(changed) is changed


def test_the_scale_is_put_before_what_joins_a_product(tmp_path: Path) -> None:
    model = load_model(quantized(FLAT, tmp_path, is_flat=True))
    assert pairs_before_slopes(with_scaled_slopes(model)) == [True]


@pytest.mark.parametrize(("nodes", "channels"), [(DEPTHWISE, 32), (TWICE, 64)])
def test_behind_a_depthwise_layer_it_is_a_prelu(nodes: str, channels: int, tmp_path: Path) -> None:
    model = load_model(quantized(nodes, tmp_path))
    changed = with_scaled_slopes(model)
    onnx.checker.check_model(changed, full_check=True)
    assert pairs_before_slopes(changed) == [True]
    kinds = {node.op_type: node for node in changed.graph.node}
    assert "PRelu" in kinds and "LeakyRelu" not in kinds
    slopes = onnx.numpy_helper.to_array(kinds["Constant"].attribute[0].t)
    assert slopes.shape == (channels, 1, 1)
    assert np.allclose(slopes, 0.1)


@pytest.mark.parametrize("nodes", LEFT.values(), ids=LEFT)
def test_what_is_not_joined_is_left_alone(nodes: str, tmp_path: Path) -> None:
    model = load_model(quantized(nodes, tmp_path))
    assert with_scaled_slopes(model) is model


@pytest.mark.toolkit
@needs_toolkit
@pytest.mark.parametrize("name", ["prelu", "leaky", "depthwise", "sum"])
def test_the_toolkit_computes_them_in_int8(name: str, tmp_path: Path) -> None:
    nodes = {**JOINED, "depthwise": DEPTHWISE}[name]
    made = converted(quantized(nodes, tmp_path), level=3)
    assert {layer.dtype for layer in made.layers} == {"INT8"}
    assert any(layer.op in ("ConvPRelu", "ConvLeakyRelu") for layer in made.layers)
    to_intended, to_float = made.closeness.intended_db, made.closeness.float_db
    assert to_intended is not None and to_float is not None
    if name == "sum":  # joined, it is not rounded before the sum
        assert to_float > 30
    else:
        assert to_intended > 100


@pytest.mark.toolkit
@needs_toolkit
def test_at_level_2_nothing_is_cut_off(tmp_path: Path) -> None:
    made = converted(quantized(JOINED["leaky"], tmp_path), level=2)
    assert made.closeness.intended_db is not None and made.closeness.intended_db > 30
