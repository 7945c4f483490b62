"""Load an ONNX model that we did not write ourselves, and save one whole."""

from __future__ import annotations

import hashlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, ValueInfoProto, numpy_helper

from ..errors import ModelError
from ..files import sha256_of, write_bytes
from .constants import named_constants, unfit_constant, with_external_fed
from .current_form import in_current_form
from .graph import all_nodes, inner_graphs, nodes_in
from .other_formats import format_of_content, other_format

_PROTOBUF_LIMIT = 2**31 - 1
_FLOAT_TYPES = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE}
_WITH_WEIGHTS = {"Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "PRelu"}
# standard by their domain, though not for every opset: they are written out in other operators
_WRITTEN_OUT = {"ImageScaler", "LayerNormalization", "SimplifiedLayerNormalization", "Swish"}
ONNX_RUNTIMES = "com.microsoft"  # the domain of its own operators
_KNOWN_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", ONNX_RUNTIMES}


def load_model(path: Path) -> ModelProto:
    """Read a model with its external data and check that it can be worked on.

    Raises ModelError when the file is missing, is not a whole ONNX model, keeps data outside its
    own folder, is larger than 2 GB, uses an operator that ONNX Runtime does not know, or holds NaN
    or infinite weights.
    """
    model = parse_model(path)
    _require_size(model, path)
    model = in_current_form(model)
    _load_external_data(model, path)
    _check_structure(model, path)
    _check_operators(model, path)
    _check_finite(model, path)
    return model


def load_structure(path: Path) -> ModelProto:
    """Read a model as ``load_model`` does, but none of its external data; no weight is read.

    Raises ModelError when the file is missing or is no valid ONNX model.
    """
    model = in_current_form(parse_model(path))
    if name := unfit_constant(model):
        raise ModelError(f"{path}: weight {name!r} is not complete", "export or copy it again")
    _check_structure(with_external_fed(model), path)
    _check_operators(model, path)
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
    """Return the number of float and quantized weights, in initializers and Constant nodes."""
    tensors = (tensor for _, tensor in named_constants(model) if tensor.dims)
    return sum(prod(tensor.dims) for tensor in tensors if tensor.data_type != TensorProto.INT64)


def is_qdq(model: ModelProto) -> bool:
    """Return whether the model holds QuantizeLinear or DequantizeLinear nodes."""
    return any(node.op_type in {"QuantizeLinear", "DequantizeLinear"} for node in model.graph.node)


def require_model_file(path: Path) -> None:
    """Raise ModelError when there is no file of that name, or it is of another format."""
    is_folder = path.is_dir()
    if not path.is_file() and not (is_folder and other_format(path)):
        fault = "is a folder" if is_folder else "does not exist"
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
        # by default onnx goes by the name's ending: a .json would be read as text
        model = onnx.load_model(str(path), format="protobuf", load_external_data=False)
    except DecodeError as error:
        raise _not_a_model(path, "is truncated or not ONNX") from error
    except OSError as error:
        raise _unreadable(path, error) from error
    if not model.graph.node:
        raise _not_a_model(path, "has no graph: it is truncated or not ONNX")
    for entry in [*model.opset_import, *model.graph.node]:
        if entry.domain == "ai.onnx":
            entry.domain = ""  # two names of the same thing, of which onnx looks up but one
    return model


def _unreadable(path: Path, error: OSError) -> ModelError:
    return ModelError(f"{path}: {error.strerror or error}", "check the permissions")


def _not_a_model(path: Path, why: str) -> ModelError:
    if other := other_format(path):
        return other.error(path)
    size = path.stat().st_size
    return ModelError(f"{path}: the file ({size} bytes) {why}", "export or copy the model again")


def _require_size(model: ModelProto, path: Path) -> None:
    """Refuse what ONNX Runtime cannot take from memory, before it is all read."""
    size = sum(file.stat().st_size for file in [path, *_external_files(model, path)])
    if size > _PROTOBUF_LIMIT:
        raise ModelError(
            f"{path}: the model has {size / 1e9:.1f} GB with its external data, more than the 2 GB "
            "that can be worked on",
            "export it with float16 weights, or in parts",
        )


def _load_external_data(model: ModelProto, path: Path) -> None:
    """Read weights that live in files beside the model; refuse any place outside its folder."""
    if not _external_files(model, path):
        return
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise _unreadable_data(path, _first_line(error)) from error


def _unreadable_data(path: Path, why: str) -> ModelError:
    hint = "keep the data file beside the model, complete and under its own name"
    return ModelError(f"{path}: its external data cannot be read: {why}", hint)


def _external_files(model: ModelProto, path: Path) -> list[Path]:
    """The files that hold external data. Raises ModelError for one outside the model's folder."""
    folder = path.parent.resolve()
    files: set[Path] = set()
    for tensor in _all_tensors(model):
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        location = next((e.value for e in tensor.external_data if e.key == "location"), "")
        file = (folder / location).resolve()
        # resolve() follows links, so a link that leads out of the folder is refused as well
        if not location or not file.is_relative_to(folder):
            raise ModelError(
                f"{path}: tensor {tensor.name!r} keeps its data outside the model's folder: "
                f"{location!r}",
                "put the data file beside the model and export it again",
            )
        if not file.is_file():
            raise _unreadable_data(path, f"{location!r} does not exist")
        files.add(file)
    return sorted(files)


def _all_tensors(model: ModelProto) -> list[TensorProto]:
    """Every tensor of the model: initializers, and constants in nodes, at any depth."""
    tensors = list(model.graph.initializer)
    for node in all_nodes(model):
        tensors.extend(tensor for graph in inner_graphs(node) for tensor in graph.initializer)
        for attribute in node.attribute:
            tensors.extend([attribute.t] if attribute.HasField("t") else attribute.tensors)
    return tensors


def model_files(path: Path) -> list[Path]:
    """Return the file of a model and those with its external data."""
    return [path, *_external_files(parse_model(path), path)]


def _check_structure(model: ModelProto, path: Path) -> None:
    if any(node.domain not in {"", "ai.onnx"} for node in nodes_in(model.graph)):
        return  # the checker refuses contributed operators, which ONNX Runtime does run
    try:
        onnx.checker.check_model(_with_all_shapes(model))
    except onnx.checker.ValidationError as error:
        if any(words in str(error) for words in ("No Op registered", "is deprecated")):
            return  # _check_operators says this better
        raise ModelError(
            f"{path}: not a valid ONNX model: {_first_line(error)}", "export the model again"
        ) from error


def _with_all_shapes(model: ModelProto) -> ModelProto:
    """What the checker takes: it wants a shape of every output, which ONNX lets be unknown."""
    if all(value.type.tensor_type.HasField("shape") for value in _interface(model)):
        return model
    shaped = ModelProto()
    shaped.CopyFrom(model)
    for value in _interface(shaped):
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.shape.SetInParent()
    return shaped


def _interface(model: ModelProto) -> list[ValueInfoProto]:
    return [*model.graph.input, *model.graph.output]


def _check_operators(model: ModelProto, path: Path) -> None:
    opset = {entry.domain: entry.version for entry in model.opset_import}
    for node in nodes_in(model.graph):
        standard = node.domain in {"", "ai.onnx"}
        version = opset.get(node.domain, opset.get("", 1))
        missing = (
            standard
            and node.op_type not in _WRITTEN_OUT
            and not onnx.defs.has(node.op_type, version, "")
        )
        if missing or node.domain not in _KNOWN_DOMAINS:
            operator = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
            hint = "replace it by standard ONNX operators, or cut the graph before it"
            if node.domain.startswith(ONNX_RUNTIMES):
                hint = "ONNX Runtime has optimised this model for one machine: give the one before"
            raise ModelError(
                f"{path}: node {node.name or node.output[0]!r} uses the unsupported operator "
                f"{operator} (opset {version})",
                hint,
            )


def _check_finite(model: ModelProto, path: Path) -> None:
    layers = [node for node in model.graph.node if node.op_type in _WITH_WEIGHTS]
    weights = {name for node in layers for name in node.input[1:]}
    for name, tensor in named_constants(model):
        if tensor.data_type not in _FLOAT_TYPES:
            continue
        value = _array(name, tensor, path)
        bad = int(value.size - np.isfinite(value).sum())
        # -inf is a legitimate constant of an attention mask; a NaN never is
        if bad and (name in weights or np.isnan(value).any()):
            raise ModelError(
                f"{path}: weight {name!r} holds {bad} NaN or infinite of {value.size} values",
                "train or export the model again: no compression can mend this",
            )


def _array(name: str, tensor: TensorProto, path: Path) -> NDArray[np.floating[Any]]:
    try:
        return numpy_helper.to_array(tensor)
    except ValueError as error:
        raise ModelError(
            f"{path}: weight {name!r} is not complete: {_first_line(error)}",
            "export or copy the model again, with its external data",
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
