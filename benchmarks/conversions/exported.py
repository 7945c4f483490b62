"""The ONNX files of the architectures, exported in an environment that has PyTorch and timm."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from .architectures import Architecture
from .samples import samples_of

_ROOT = Path(__file__).resolve().parent.parent.parent
_SAMPLES = 64  # that the weights are scaled on


def exported_model(architecture: Architecture, work: Path, python: Path) -> Path:
    """Return the ONNX file of an architecture, exported by ``python`` when it is not there yet.

    Raises CalledProcessError when the export fails.
    """
    path = work.resolve() / "exports" / f"{architecture.name}.onnx"
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = samples_of(architecture.model, _SAMPLES, seed=3)["x"]
    file = path.with_suffix(".npy")
    np.save(file, samples.reshape(-1, *architecture.shape[1:]).astype(np.float32))
    command = [str(python), "-m", "benchmarks.conversions.export", architecture.name]
    subprocess.run([*command, str(file), str(path)], cwd=_ROOT, check=True, capture_output=True)
    file.unlink()
    return path
