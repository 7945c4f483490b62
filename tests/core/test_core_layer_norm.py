"""Defaults of LayerNormalization are said: the toolkit's rule for it fails without."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import ModelProto

from graphs import model_of, random_feeds, random_weights
from rockpress.convert.convert import Conversion, convert
from rockpress.convert.request import ConversionRequest
from rockpress.core.graphs.graph import attributes
from rockpress.core.passes.prepare import prepare_model

pytestmark = pytest.mark.toolkit


@pytest.fixture(scope="module")
def silent() -> ModelProto:
    """Tokens normalised over channels, and planes over rows and columns."""
    text = """(float[1,12,16] x, float[1,4,8,8] z) => (float[1,12,16] y, float[1,4,8,8] v) {
        y = LayerNormalization (x, s, b)
        v = LayerNormalization <axis=2, epsilon=0.001> (z, t) }"""
    weights = random_weights({"s": (16,), "b": (16,), "t": (8, 8)}, scale=1)
    return model_of(text, weights, opset=17, prepared=False)


def test_defaults_are_said_and_values_stay(silent: ModelProto) -> None:
    settings = [attributes(node) for node in prepare_model(silent).graph.node]
    assert [values["axis"] for values in settings] == [-1, 2]
    assert [values["epsilon"] for values in settings] == pytest.approx([1e-5, 1e-3])


def test_it_runs_on_the_npu(silent: ModelProto, tmp_path: Path) -> None:
    def converted(model: ModelProto) -> Conversion:
        onnx.save(model, tmp_path / "m.onnx")
        feeds = random_feeds(model, 1, seed=1)
        request = ConversionRequest(tmp_path / "m.onnx", None, "rk3588", calibration=feeds)
        return convert(request)

    prepared = converted(prepare_model(silent))
    assert not prepared.warnings
    assert [layer.op for layer in prepared.layers].count("exNorm") == 2
    codes = {warning.code for warning in converted(silent).warnings}
    assert codes == {"toolkit-rule-disabled", "cpu-fallback-layer"}
