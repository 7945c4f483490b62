"""Load an ONNX model that we did not write ourselves, and save one whole."""

from __future__ import annotations

import hashlib
from math import prod
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto

from ..errors import ModelError
from ..files import sha256_of, write_bytes
from ..text_files import read_whole
from .constants import constants_of, with_external_fed
from .current_form import in_current_form
from .external_data import external_files, load_external_data, require_size
from .graph import graphs_in
from .model_checks import (
    check_finite,
    check_functions,
    check_levels,
    check_operators,
    check_structure,
    check_tensors,
    require_readable,
)
from .other_formats import format_of_content, other_format

_PROTOBUF_LIMIT = 2**31 - 1


def load_model(path: Path) -> ModelProto:
    """Read a model with its external data and check that it can be worked on.

    Raises ModelError when the file is missing, is not a whole ONNX model, keeps data outside its
    own folder, is larger than 2 GB, uses an operator that ONNX Runtime does not know, or holds NaN
    or infinite weights.
    """
    model = parse_model(path)
    require_size(model, path)
    load_external_data(model, path)
    check_tensors(model, path)
    check_functions(model, path)
    model = in_current_form(model)
    check_levels(model, path)
    check_structure(model, path)
    check_operators(model, path)
    check_finite(model, path)
    return model


def load_structure(path: Path) -> ModelProto:
    """Read a model as ``load_model`` does, but none of its external data; no weight is read.

    Raises ModelError when the file is missing or is no valid ONNX model.
    """
    model = parse_model(path)
    check_tensors(model, path)
    check_functions(model, path)
    model = in_current_form(model)
    check_levels(model, path)
    check_structure(with_external_fed(model), path)
    check_operators(model, path)
    return model


def save_model(model: ModelProto, path: Path) -> None:
    """Write the model as one file, whole or not at all."""
    write_bytes(path, model.SerializeToString())


def model_bytes(path: Path) -> int:
    """Return the size of a model file in bytes, its external data counted."""
    return sum(file.stat().st_size for file in model_files(path))


def model_digest(path: Path) -> str:
    """Return the hex SHA-256 of the model file and its external data, in the order of names."""
    digest = hashlib.sha256()
    for file in model_files(path):
        digest.update(sha256_of(file).encode())
    return digest.hexdigest()


def parameter_count(model: ModelProto) -> int:
    """Return the number of float and quantized weights, in initializers and Constant nodes.

    Those of the bodies of If and Loop count too.
    """
    graphs = graphs_in(model.graph)
    tensors = (tensor for graph in graphs for _, tensor in constants_of(graph) if tensor.dims)
    return sum(prod(tensor.dims) for tensor in tensors if tensor.data_type != TensorProto.INT64)


def is_qdq(model: ModelProto) -> bool:
    """Return whether the model holds QuantizeLinear or DequantizeLinear nodes."""
    return any(node.op_type in {"QuantizeLinear", "DequantizeLinear"} for node in model.graph.node)


def require_model_file(path: Path) -> None:
    """Raise ModelError when there is no file of that name, or it is of another format."""
    is_folder = path.is_dir()
    if not path.is_file() and not (is_folder and other_format(path)):
        fault = "is no regular file" if path.exists() else "does not exist"
        fault = "is a folder" if is_folder else fault
        raise ModelError(f"{path}: the model file {fault}", "give the path of an .onnx file")
    try:
        other = other_format(path) if is_folder else format_of_content(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    if other:
        raise other.error(path)


def parse_model(path: Path) -> ModelProto:
    """Read a model as its file has it: without external data, and nothing of it is checked.

    Raises ModelError when the file is missing or holds no graph.
    """
    require_model_file(path)
    try:
        model = onnx.load_model_from_string(read_whole(path, _PROTOBUF_LIMIT))
    except DecodeError as error:
        raise _not_a_model(path, "is truncated or not ONNX") from error
    except OSError as error:
        raise _unreadable(path, error) from error
    if not model.graph.node:
        raise _not_a_model(path, "has no graph: it is truncated or not ONNX")
    for entry in [*model.opset_import, *model.graph.node]:
        if entry.domain == "ai.onnx":
            entry.domain = ""  # two names of the same thing, of which onnx looks up but one
    require_readable(model, path)
    return model


def _unreadable(path: Path, error: OSError) -> ModelError:
    return ModelError(f"{path}: {error.strerror or error}", "check the permissions")


def _not_a_model(path: Path, why: str) -> ModelError:
    if other := other_format(path):
        return other.error(path)
    size = path.stat().st_size
    return ModelError(f"{path}: the file ({size} bytes) {why}", "export or copy the model again")


def model_files(path: Path) -> list[Path]:
    """Return the file of a model and those with its external data."""
    return [path, *external_files(parse_model(path), path)]
