"""Convolutions of one and three axes, and outputs that are a single number, through the stages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphs import Weights, model_of, random_feeds
from rockpress.core.errors import SamplesError
from rockpress.core.graphs.model import save_model
from rockpress.core.progress import SILENT
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.pipeline.prune_file import prune_file
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import Recipe, make_recipe

MODELS: dict[str, tuple[str, Weights]] = {
    "one axis": (
        """(float[1,3,40] x) => (float[1,4] y) {
            a = Conv <pads = [1,1], strides = [2]> (x, w, b) c = Relu (a)
            d = Conv <dilations = [2]> (c, v) e = GlobalAveragePool (d) y = Flatten (e) }""",
        {"w": (16, 3, 3), "b": (16,), "v": (4, 16, 3)},
    ),
    "three axes": (
        """(float[1,3,4,8,8] x) => (float[1,4] y) {
            a = Conv <pads = [1,1,1,1,1,1], strides = [1,2,2]> (x, w, b) c = Relu (a)
            d = Conv (c, v) e = GlobalAveragePool (d) y = Flatten (e) }""",
        {"w": (16, 3, 3, 3, 3), "b": (16,), "v": (4, 16, 2, 3, 3)},
    ),
    "a single number": (
        """(float[1,3,8,8] x) => (float[1,4,8,8] y, float m) {
            a = Conv <pads = [1,1,1,1]> (x, w, b) c = Relu (a)
            y = Conv (c, v) m = ReduceMean <keepdims = 0> (y) }""",
        {"w": (16, 3, 3, 3), "b": (16,), "v": (4, 16, 1, 1)},
    ),
}


@pytest.fixture(params=MODELS)
def recipe(request: pytest.FixtureRequest, tmp_path: Path) -> Recipe:
    text, weights = MODELS[request.param]
    model = model_of(text, weights, prepared=False)
    save_model(model, tmp_path / "m.onnx")
    samples = np.concatenate([feeds["x"] for feeds in random_feeds(model, 16)])
    np.savez(tmp_path / "x.npz", x=samples)
    return make_recipe(tmp_path / "m.onnx", calib=tmp_path / "x.npz", prune="macs=-30%")


def test_they_are_quantized(recipe: Recipe, tmp_path: Path) -> None:
    quantize_file(recipe, tmp_path / "q.onnx", SILENT)
    samples = [{"x": x[None]} for x in np.load(tmp_path / "x.npz")["x"]]
    before = Session(recipe.model).stacked(samples)
    after = Session(tmp_path / "q.onnx", optimise=False).stacked(samples)
    assert all(len(output) == len(samples) for output in before)
    assert sqnr_db(before, after) > 20


def test_they_are_pruned(recipe: Recipe, tmp_path: Path) -> None:
    prune_file(recipe, tmp_path / "p.onnx", SILENT)
    feeds = {"x": np.load(tmp_path / "x.npz")["x"][:1]}
    before, after = Session(recipe.model).run(feeds), Session(tmp_path / "p.onnx").run(feeds)
    assert [output.shape for output in after] == [output.shape for output in before]
    assert not all(map(np.array_equal, before, after))


@pytest.mark.parametrize("batch", [1, 2])
def test_a_single_number_is_fed(batch: int, tmp_path: Path) -> None:
    text = """(float[N,3,8,8] x, float t) => (float[N,4,8,8] y) {
        a = Conv <pads = [1,1,1,1]> (x, w) b = Relu (a) c = Conv (b, v) y = Mul (c, t) }"""
    weights: Weights = {"w": (16, 3, 3, 3), "v": (4, 16, 1, 1)}
    save_model(model_of(text.replace("N", str(batch)), weights), tmp_path / "m.onnx")
    (feeds,) = random_feeds({"x": (16, 3, 8, 8), "t": (16,)}, 1, shift=1.0)
    np.savez(tmp_path / "x.npz", **feeds)
    recipe = make_recipe(tmp_path / "m.onnx", calib=tmp_path / "x.npz")
    quantized = quantize_file(recipe, tmp_path / "q.onnx", SILENT)
    assert quantized.comparison.sqnr_db is not None and quantized.comparison.sqnr_db > 20


def test_a_sample_for_two_inputs_of_another_batch_is_refused(tmp_path: Path) -> None:
    text = """(float[2,3,8,8] x, float[1,4,1,1] t) => (float[2,4,8,8] y) {
        a = Conv (x, w) y = Mul (a, t) }"""
    save_model(model_of(text, {"w": (4, 3, 1, 1)}), tmp_path / "m.onnx")
    (feeds,) = random_feeds({"x": (16, 3, 8, 8), "t": (16, 4, 1, 1)}, 1)
    np.savez(tmp_path / "x.npz", **feeds)
    recipe = make_recipe(tmp_path / "m.onnx", calib=tmp_path / "x.npz")
    with pytest.raises(SamplesError, match=r"input 'x' takes \(2, 3, 8, 8\)"):
        quantize_file(recipe, tmp_path / "q.onnx", SILENT)
