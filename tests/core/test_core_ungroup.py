"""Grouped transposed convolutions without groups, which the simulator can read in int8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphs import model_of, random_feeds
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.core.graphs.model import save_model
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.progress import SILENT
from rockpress.core.session import Session
from rockpress.pipeline.convert_file import convert_file
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import make_recipe

TEXT = """(float[1,{inputs},6,6] x) => (float[1,{outputs},12,12] y) {{
    [wide] d = ConvTranspose <group = {groups}, strides = [2,2], pads = [1,1,1,1],
                              output_padding = [1,1]> (x, w{bias}) y = Relu (d) }}"""


@pytest.mark.parametrize(
    ("inputs", "outputs", "groups", "operators"),
    [
        (32, 32, 2, "ConvTranspose Relu"),
        (12, 24, 3, "ConvTranspose Relu"),
        (16, 32, 16, "ConvTranspose Relu"),
        (160, 40, 4, "Split" + 4 * " ConvTranspose" + " Concat Relu"),
        (160, 320, 160, "ConvTranspose Relu"),
        (16, 16, 16, "ConvTranspose Relu"),
    ],
)
@pytest.mark.parametrize("bias", [", b", ""])
def test_no_groups_are_left(
    inputs: int, outputs: int, groups: int, operators: str, bias: str
) -> None:
    text = TEXT.format(inputs=inputs, outputs=outputs, groups=groups, bias=bias)
    shapes = {"w": (inputs, outputs // groups, 3, 3), "b": (outputs,)}
    weights = {name: shape for name, shape in shapes.items() if name == "w" or bias}
    model = model_of(text, weights, prepared=False)
    prepared = prepare_model(model)
    assert [node.op_type for node in prepared.graph.node] == operators.split()
    is_depthwise = inputs == outputs == groups
    grouped = [
        setting.i > 1
        for node in prepared.graph.node
        for setting in node.attribute
        if setting.name == "group"
    ]
    assert any(grouped) == is_depthwise
    (feeds,) = random_feeds(prepared, 1)
    (expected,), (result,) = Session(model).run(feeds), Session(prepared).run(feeds)
    np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.toolkit
@pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")
def test_it_is_built_in_int8(tmp_path: Path) -> None:
    text = TEXT.format(inputs=32, outputs=32, groups=2, bias=", b")
    model = model_of(text, {"w": (32, 16, 3, 3), "b": (32,)}, prepared=False)
    save_model(model, tmp_path / "m.onnx")
    samples = np.concatenate([feeds["x"] for feeds in random_feeds(model, 8)])
    np.savez(tmp_path / "x.npz", x=samples)
    recipe = make_recipe(tmp_path / "m.onnx", calib=tmp_path / "x.npz")
    quantize_file(recipe, tmp_path / "q.onnx", SILENT)
    again = make_recipe(tmp_path / "q.onnx", calib=tmp_path / "x.npz")
    conversion = convert_file(again, tmp_path / "m.rknn", SILENT)
    assert conversion.quantization == "qdq"
    assert conversion.closeness.intended_db is not None and conversion.closeness.intended_db > 30
