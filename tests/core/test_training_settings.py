"""What training sets before PyTorch is imported, and how memory behaves while it goes on."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rockpress.calibration_data.bundled import CALIBRATION, MODEL, sample_path
from rockpress.core.training.pytorch import training_in
from rockpress.core.trim_heap import large_blocks_kept

WAITING, COMPILED = "OMP_WAIT_POLICY", "TORCHINDUCTOR_CACHE_DIR"
has_mallopt = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library has no mallopt"
)


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (WAITING, COMPILED):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_threads_are_passive_while_a_model_is_trained(
    unset: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with training_in(tmp_path):
        assert os.environ[WAITING] == "PASSIVE"
        assert os.environ[COMPILED] == str(tmp_path / "compiled")
    assert not {WAITING, COMPILED} & set(os.environ)


def test_settings_of_the_user_stay(unset: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unset.setenv(WAITING, "ACTIVE")
    with training_in(tmp_path):
        assert os.environ[WAITING] == "ACTIVE"
        assert COMPILED in os.environ
    assert os.environ[WAITING] == "ACTIVE"
    assert COMPILED not in os.environ


@pytest.mark.torch
def test_openmp_is_set_before_it_is_loaded(tmp_path: Path) -> None:
    """It tells of itself when it is loaded, which PyTorch does when it is imported."""
    model, calib = str(sample_path(MODEL)), str(sample_path(CALIBRATION))
    command = [sys.executable, "-m", "rockpress", "quantize", model, "--calib", calib]
    command += ["--calib-count", "40", "--scheme", "w4a16"]
    command += ["--target", "rk3576", "--method", "min-max", "--train", "distill"]
    command += ["--train-steps", "1", "-o", str(tmp_path / "o.onnx"), "-v"]
    env = {**os.environ, "OMP_DISPLAY_ENV": "true"}
    env.pop(WAITING, None)
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in ended.stderr


def pages_fetched() -> int:
    """Return how many pages the system gives this process for blocks that come and go."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        np.ones(12 << 20, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@has_mallopt
def test_large_blocks_are_kept_for_the_next_step() -> None:
    with large_blocks_kept():
        pages_fetched()
        inside = pages_fetched()
    assert pages_fetched() > 4 * inside + 8
