"""Weights that a model keeps in files beside it."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
from onnx import ModelProto, TensorProto

from ..errors import ModelError
from .constants import all_tensors

_PROTOBUF_LIMIT = 2**31 - 1


def external_files(model: ModelProto, path: Path) -> list[Path]:
    """Return the files that hold external data, each once.

    Raises ModelError for one outside the model's folder, and for one that is not there.
    """
    return sorted({_file_of(tensor, path) for tensor in _external(model)})


def require_size(model: ModelProto, path: Path) -> None:
    """Raise ModelError for more than ONNX Runtime takes from memory, before it is all read.

    A file that several tensors name is read for each of them.
    """
    whole = sum(file.stat().st_size for file in external_files(model, path))
    read = sum(_bytes_read(tensor, _file_of(tensor, path)) for tensor in _external(model))
    size = path.stat().st_size + max(whole, read)
    if size > _PROTOBUF_LIMIT:
        raise ModelError(
            f"{path}: the model has {size / 1e9:.1f} GB with its external data, more than the 2 GB "
            "that can be worked on",
            "export it with float16 weights, or in parts",
        )


def load_external_data(model: ModelProto, path: Path) -> None:
    """Read the weights that live in files beside the model. Raises ModelError."""
    if not external_files(model, path):
        return
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise _unreadable(path, str(error).strip().partition("\n")[0]) from error


def _external(model: ModelProto) -> list[TensorProto]:
    return [tensor for tensor in all_tensors(model) if tensor.data_location == TensorProto.EXTERNAL]


def _entry(tensor: TensorProto, key: str) -> str:
    return next((str(entry.value) for entry in tensor.external_data if entry.key == key), "")


def _file_of(tensor: TensorProto, path: Path) -> Path:
    folder, location = path.parent.resolve(), _entry(tensor, "location")
    try:
        file = (folder / location).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL, links in a circle
        raise _unreadable(path, f"{location!r} is no name of a file") from error
    # resolve() follows links, so a link that leads out of the folder is refused as well
    if not location or not file.is_relative_to(folder):
        raise ModelError(
            f"{path}: tensor {tensor.name!r} keeps its data outside the model's folder: "
            f"{location!r}",
            "put the data file beside the model and export it again",
        )
    if not os.path.isfile(file):  # False too for a name that is too long
        raise _unreadable(path, f"{location!r} does not exist")
    return file


def _bytes_read(tensor: TensorProto, file: Path) -> int:
    """What onnx reads: the length that is given, else all that comes behind the offset."""
    length, offset = _entry(tensor, "length"), _entry(tensor, "offset")
    start = int(offset) if offset.isdecimal() else 0
    rest = max(0, file.stat().st_size - start)
    return min(rest, int(length)) if length.isdecimal() else rest


def _unreadable(path: Path, why: str) -> ModelError:
    hint = "keep the data file beside the model, complete and under its own name"
    return ModelError(f"{path}: its external data cannot be read: {why}", hint)
