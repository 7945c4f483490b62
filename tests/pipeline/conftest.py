"""A toolkit that computes in ONNX Runtime, and a model that it built."""

from __future__ import annotations

from pathlib import Path

import pytest

from board_answers import Built, save_labelled
from commands import Run
from fake_toolkit import FakeToolkit
from rockpress.accuracy.runners import run_onnxruntime
from rockpress.convert.manifest import manifest_path, read_manifest


@pytest.fixture
def fast_toolkit(monkeypatch: pytest.MonkeyPatch) -> FakeToolkit:
    fake = FakeToolkit()
    monkeypatch.setattr("rockpress.convert.toolkit_build.run_job", fake)
    monkeypatch.setattr("rockpress.convert.toolkit_build.needs_lowering", lambda python: False)
    return fake


@pytest.fixture
def built(small_cnn: Path, fast_toolkit: FakeToolkit, tmp_path: Path, rockpress: Run) -> Built:
    """In int8 by our own plan; the labels are what the original says."""
    labelled, unlabelled, samples = save_labelled(tmp_path, small_cnn, 12)
    quantized, rknn = tmp_path / "q.onnx", tmp_path / "m.rknn"
    words = ["--calib", unlabelled, "--method", "min-max", "--mixed", "off"]
    assert rockpress("quantize", small_cnn, "-o", quantized, *words).code == 0
    words = ["--plan", quantized.with_suffix(".plan.toml"), "--calib", unlabelled]
    ended = rockpress("convert", small_cnn, "-o", rknn, *words)
    assert ended.code == 0, ended.err
    simulated = run_onnxruntime(quantized, samples, optimise=False)
    manifest = read_manifest(manifest_path(rknn))
    return Built(small_cnn, rknn, manifest, labelled, samples, simulated)
