"""The factors of a Gemm: inside its constants, so that nothing has to know of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import ModelProto

from graphs import model_of, random_weights
from rockpress.convert.convert import convert
from rockpress.convert.request import ConversionRequest
from rockpress.core.graphs.model import load_model
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import make_recipe

TWO = """(float[1,16] x) => (float[1,8] y) {
    a = Gemm <transB=1, beta=0.5> (x, w, b)
    r = Relu (a)
    c = Gemm <transB=1, alpha=3.0, beta=0.25> (r, w, b)
    s = Relu (c)
    y = Gemm <alpha=0.5> (s, v) }"""


@pytest.fixture(scope="module")
def two() -> ModelProto:
    """Three layers, two of which share their constants under different factors."""
    weights = random_weights({"w": (16, 16), "b": (16,), "v": (16, 8)}, scale=1 / 4)
    return model_of(TWO, weights, prepared=False)


def test_factors_go_into_the_constants(two: ModelProto) -> None:
    prepared = prepare_model(two)
    names = {one.name for node in prepared.graph.node for one in node.attribute}
    assert not names & {"alpha", "beta"}
    x = {"x": np.random.default_rng(1).standard_normal((1, 16)).astype(np.float32)}
    np.testing.assert_allclose(Session(prepared).run(x)[0], Session(two).run(x)[0], rtol=1e-5)


def test_the_simulator_computes_a_quantized_gemm_with_factors(
    two: ModelProto, tmp_path: Path
) -> None:
    onnx.save(two, tmp_path / "m.onnx")
    values = np.random.default_rng(1).standard_normal((24, 1, 16)).astype(np.float32)
    np.savez(tmp_path / "c.npz", x=values[:, 0])
    quantize_file(make_recipe(tmp_path / "m.onnx", calib=tmp_path / "c.npz"), tmp_path / "q.onnx")
    feeds = [{"x": one} for one in values[:8]]
    built = convert(
        ConversionRequest(tmp_path / "q.onnx", None, "rk3588", calibration=feeds, simulate=feeds)
    )
    assert built.warnings == ()
    assert built.outputs is not None
    meant = Session(load_model(tmp_path / "q.onnx"), optimise=False)
    reference = np.stack([meant.run(one)[0][0] for one in feeds])
    assert sqnr_db([reference], [built.outputs[0]]) > 25


def test_an_accuracy_that_is_not_reached_is_told(two: ModelProto, tmp_path: Path) -> None:
    onnx.save(two, tmp_path / "m.onnx")
    values = np.random.default_rng(1).standard_normal((20, 16)).astype(np.float32)
    np.savez(tmp_path / "c.npz", x=values)
    recipe = make_recipe(tmp_path / "m.onnx", calib=tmp_path / "c.npz", mixed="sqnr=400")
    found = quantize_file(recipe, tmp_path / "q.onnx")
    assert [one.code for one in found.warnings] == ["mixed-budget"]
    assert "sqnr=400 was not reached" in str(found.warnings[0])
