"""Outputs that the toolkit drops, and those that it gives another name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from graphs import model_of
from rockpress.convert.built_outputs import matched_outputs
from rockpress.convert.convert import convert
from rockpress.convert.request import ConversionRequest
from rockpress.convert.toolkit.job import BuildResult
from rockpress.convert.toolkit.rknn_file import RknnFacts, RknnTensor
from rockpress.core.diagnostics import mentioned
from rockpress.core.graphs.model import save_model
from rockpress.pipeline.options.sample_options import ModelOptions
from rockpress.pipeline.samples.ready_model import ready_model

MODEL = model_of(
    """(float[1,3,8,8] x) => (float[1,4,8,8] y, float[1,6] anchors, float[1,4,8,8] z) {
        y = Conv (x, "w")  z = Relu (y)  anchors = Identity ("grid") }""",
    {"w": (4, 3, 1, 1), "grid": np.arange(6.0).reshape(1, 6)},
)


def built(present: list[str], monkeypatch: pytest.MonkeyPatch) -> BuildResult:
    """A file with these outputs, the n-th of which is n everywhere."""
    tensors = tuple(RknnTensor(name, (1, 4, 8, 8), "float32") for name in present)
    facts = RknnFacts("rk3588", "2.5.0", None, 6, 400, 300, "ONNX", (), tensors)
    monkeypatch.setattr("rockpress.convert.built_outputs.read_rknn", lambda path: facts)
    outputs = [np.full((2, 4, 8, 8), index, np.float32) for index in range(len(present))]
    return BuildResult("2.5.0", "", Path("m.rknn"), outputs)


def firsts(result: BuildResult) -> list[float]:
    return [float(output.ravel()[0]) for output in result.outputs or []]


def test_a_constant_that_is_dropped_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    match = matched_outputs(built(["y", "z"], monkeypatch), MODEL)
    assert (match.dropped, match.constant, match.renamed) == ((), ("anchors",), ())
    outputs = match.built.outputs
    assert outputs is not None and outputs[1].tolist() == [list(range(6))] * 2
    assert [warning.code for warning in match.warnings] == ["toolkit-output-dropped"]


def test_what_is_dropped_else_is_not_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    match = matched_outputs(built(["z", "anchors"], monkeypatch), MODEL)
    assert match.dropped == ("y",) and np.isnan(firsts(match.built)[0])
    assert firsts(match.built)[1:] == [1.0, 0.0]


def test_another_order_and_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    match = matched_outputs(built(["z_dup", "anchors", "y"], monkeypatch), MODEL)
    assert firsts(match.built) == [2.0, 1.0, 0.0]
    assert match.renamed == (("z", "z_dup"),) and not match.dropped
    assert [warning.code for warning in match.warnings] == ["toolkit-output-renamed"]


@pytest.mark.toolkit
def test_the_toolkit_drops_a_constant(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(MODEL, path)
    request = ConversionRequest(path, None, "rk3588", quantization="float16")
    (warning,) = (each for each in convert(request).warnings if "output" in each.code)
    assert warning.code == "toolkit-output-dropped" and "'anchors'" in warning.text
    ((name, outputs),) = mentioned(warning.hint)
    assert name == "outputs"
    save_model(ready_model(path, ModelOptions(outputs=tuple(outputs))).model, path)
    assert not any("output" in each.code for each in convert(request).warnings)
