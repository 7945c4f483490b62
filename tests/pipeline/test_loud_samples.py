"""One sample that is far louder than the others does not hide what became of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from commands import Run

COUNT = 40
HIDDEN = r"FAIL: output 'logits' has -?\d\.\d+ dB on the median sample \(all together 2\d\.\d dB"


@pytest.fixture
def usual(tmp_path: Path) -> Path:
    samples = np.random.default_rng(0).uniform(0, 1, (COUNT, 3, 32, 32)).astype(np.float32)
    np.save(tmp_path / "usual.npy", samples)
    return tmp_path / "usual.npy"


@pytest.fixture
def loud(usual: Path) -> Path:
    """The same, but one of them in 0 to 255."""
    samples = np.load(usual)
    samples[17] *= 255
    np.save(usual.with_name("loud.npy"), samples)
    return usual.with_name("loud.npy")


def test_one_loud_sample_fails_quantize_and_check(
    small_cnn: Path, loud: Path, rockpress: Run
) -> None:
    quantized = loud.with_name("q.onnx")
    code, out, _ = rockpress("quantize", small_cnn, "--calib", loud, "-o", quantized)
    assert code == 4
    assert re.match(HIDDEN, out), out
    code, out, _ = rockpress("check", small_cnn, quantized, "--calib", loud, "--json")
    (target,) = json.loads(out)["targets"]
    (part,), gates = target["parts"], {gate["name"]: gate for gate in target["gates"]}
    assert code == 4 and part["sqnr_db"] > 20 > 3 > part["median_sqnr_db"]
    assert gates["fidelity"]["value"] == part["median_sqnr_db"] and gates["outputs-alive"]["pass"]
    assert target["retention"]["sqnr_db"] == part["sqnr_db"]


def test_without_it_nothing_fails(small_cnn: Path, usual: Path, rockpress: Run) -> None:
    line = ["quantize", small_cnn, "--calib", usual, "-o", usual.with_name("q.onnx"), "--json"]
    code, out, err = rockpress(*line)
    assert code == 0, err
    (part,) = json.loads(out)["parts"]
    assert part["sqnr_db"] > 30 and part["median_sqnr_db"] is None
