"""What has to hold of a model that somebody else has written, before anything is done with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import (
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    ValueInfoProto,
    numpy_helper,
)

from ..errors import ModelError
from ..native_work import native_work
from ..types import Array
from .constants import all_tensors, named_constants
from .graph import all_nodes, graphs_in, inner_graphs, nodes_in

ONNX_RUNTIMES = "com.microsoft"  # the domain of its own operators
_NO_FILE = Path("the model")
_FLOAT_TYPES = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE}
_WITH_WEIGHTS = {"Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "PRelu"}
# standard by their domain, though not for every opset: they are written out in other operators
_WRITTEN_OUT = {"ImageScaler", "LayerNormalization", "SimplifiedLayerNormalization", "Swish"}
_KNOWN_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", ONNX_RUNTIMES}
_OPSETS = range(1, 1 << 20)  # onnx itself counts in 32 bits
_MOST_NODES = 500_000  # 30 functions that each call the next twice come to a thousand times that
_MOST_LEVELS = 16  # of branches in branches: ONNX Runtime takes twice as long for each more
_AGAIN = "export the model again"


def require_readable(model: ModelProto, path: Path) -> None:
    """Raise ModelError for a graph without nodes or outputs, and for what no code could read.

    That is a name that is no text, and an opset that is none.
    """
    if not model.graph.output:
        raise ModelError(f"{path}: the model has no outputs", _AGAIN)
    strange = next((name for name in _names(model) if not isinstance(name, str)), None)
    if strange is not None:
        raise ModelError(f"{path}: the name {strange!r} is no text in UTF-8", _AGAIN)
    for own in model.opset_import:
        if own.version not in _OPSETS:
            text = f"opset {own.version} of {own.domain or 'ONNX'!r}"
            raise ModelError(f"{path}: the model is for {text}, which there is not", _AGAIN)


def _names(model: ModelProto) -> Iterator[Any]:
    """Yield every name; protobuf gives bytes where it is no text."""
    for node in all_nodes(model):
        yield from (node.name, node.domain, node.op_type, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    for graph in graphs_in(model.graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            yield value.name
            yield from (dim.dim_param for dim in value.type.tensor_type.shape.dim)
    for tensor in all_tensors(model):
        yield tensor.name
        yield from (entry.value for entry in tensor.external_data)
    for entry in model.metadata_props:
        yield from (entry.key, entry.value)
    yield from (own.domain for own in model.opset_import)


def check_tensors(model: ModelProto, path: Path) -> None:
    """Raise ModelError for a constant whose values are not those of its type and shape.

    Those in files that were not read are left out.
    """
    for tensor in all_tensors(model):
        negative = any(length < 0 for length in tensor.dims)
        if negative or tensor.data_location != TensorProto.EXTERNAL:
            _array(tensor.name, tensor, path)
    for node in all_nodes(model):
        if node.op_type == "Constant":
            _check_text(node, path)


def _check_text(constant: NodeProto, path: Path) -> None:
    """Raise ModelError for a text of a constant that becomes an initializer, and is none."""
    for attribute in constant.attribute:
        for text in (attribute.s, *attribute.strings):
            try:
                text.decode()
            except UnicodeDecodeError as error:
                reason = f"{_called(constant)} holds text that is not in UTF-8: {text[:20]!r}"
                raise ModelError(f"{path}: {reason}", _AGAIN) from error


def check_functions(model: ModelProto, path: Path) -> None:
    """Raise ModelError for functions that call themselves, or whose calls have too many nodes."""
    bodies = {
        (function.domain, function.name, function.overload): _counted(function)
        for function in model.functions
    }
    calls = {name: [called for called in body if called in bodies] for name, body in bodies.items()}
    nodes: dict[tuple[str, str, str], int] = {}  # in a function, with all that it calls
    try:
        for name in TopologicalSorter(calls).static_order():
            nodes[name] = min(_sum(bodies[name], nodes), _MOST_NODES + 1)
    except CycleError as error:
        names = [called for _, called, _ in error.args[1]]
        raise _invalid(path, f"the function {names[0]!r} calls itself") from error
    if _sum(_counted(model.graph), nodes) > _MOST_NODES:
        raise ModelError(
            f"{path}: the model calls functions that have more than {_MOST_NODES:,} nodes in all",
            "export it without functions",
        )


def _counted(body: GraphProto | FunctionProto) -> Counter[tuple[str, str, str]]:
    return Counter((node.domain, node.op_type, node.overload) for node in nodes_in(body))


def _sum(body: Counter[tuple[str, str, str]], nodes: dict[tuple[str, str, str], int]) -> int:
    return sum(count * nodes.get(called, 1) for called, count in body.items())


def check_levels(model: ModelProto, path: Path) -> None:
    """Raise ModelError where branches and loops lie too deep in each other to be run."""
    if (levels := _levels(model.graph)) > _MOST_LEVELS:
        raise ModelError(
            f"{path}: branches and loops lie in each other {levels} deep; {_MOST_LEVELS} are taken",
            "export it with its conditions decided (constant folding)",
        )


def _levels(graph: GraphProto) -> int:
    inner = (each for node in graph.node for each in inner_graphs(node))
    return max((1 + _levels(each) for each in inner), default=0)


def check_structure(model: ModelProto, path: Path) -> None:
    """Raise ModelError for what ONNX's own checker finds."""
    if any(node.domain not in {"", "ai.onnx"} for node in nodes_in(model.graph)):
        return  # the checker refuses contributed operators, which ONNX Runtime does run
    try:
        with native_work("ONNX checked the model"):
            onnx.checker.check_model(_with_all_shapes(model))
    except onnx.checker.ValidationError as error:
        if any(words in str(error) for words in ("No Op registered", "is deprecated")):
            return  # check_operators says this better
        raise _invalid(path, _first_line(error)) from error
    except UnicodeDecodeError as error:  # the message quotes what is no text
        raise _invalid(path, "it holds text that is not in UTF-8") from error


def _invalid(path: Path, why: str) -> ModelError:
    return ModelError(f"{path}: not a valid ONNX model: {why}", _AGAIN)


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


def check_operators(model: ModelProto, path: Path) -> None:
    """Raise ModelError for an operator that ONNX Runtime does not know, or in no opset."""
    opset = {entry.domain: entry.version for entry in model.opset_import}
    for node in nodes_in(model.graph):
        version = opset.get(node.domain)
        if node.domain not in _KNOWN_DOMAINS:
            raise _unsupported(node, version, path)
        if version is None:
            raise ModelError(
                f"{path}: {_called(node)} is of the operators of {node.domain or 'ONNX'!r}, of "
                "which the model names no version",
                _AGAIN,
            )
        has_schema = node.domain == ONNX_RUNTIMES or onnx.defs.has(
            node.op_type, version, node.domain
        )
        if not has_schema and not (node.domain == "" and node.op_type in _WRITTEN_OUT):
            raise _unsupported(node, version, path)


def _called(node: NodeProto) -> str:
    return f"node {node.name or next(filter(None, node.output), '')!r}"


def _unsupported(node: NodeProto, version: int | None, path: Path) -> ModelError:
    operator = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
    hint = "replace it by standard ONNX operators, or cut the graph before it"
    if node.domain.startswith(ONNX_RUNTIMES):
        hint = "ONNX Runtime has optimised this model for one machine: give the one before"
    text = f"{path}: {_called(node)} uses the unsupported operator {operator}"
    return ModelError(f"{text} (opset {version or 'not named'})", hint)


def check_finite(model: ModelProto, path: Path) -> None:
    """Raise ModelError for weights that are NaN or infinite."""
    for name, bad, size in weights_not_finite(model, path):
        raise ModelError(
            f"{path}: weight {name!r} holds {bad} NaN or infinite of {size} values",
            "train or export the model again: no compression can mend this",
        )


def weights_not_finite(model: ModelProto, path: Path = _NO_FILE) -> Iterator[tuple[str, int, int]]:
    """Yield each weight with NaN or infinite values: its name, how many of these, and of all.

    Of other constants those with NaN: -inf is a legitimate one of an attention mask. Raises
    ModelError, which names the ``path``, for a weight that is not complete.
    """
    layers = [node for node in model.graph.node if node.op_type in _WITH_WEIGHTS]
    weights = {name for node in layers for name in node.input[1:]}
    for name, tensor in named_constants(model):
        if tensor.data_type not in _FLOAT_TYPES:
            continue
        value = _array(name, tensor, path)
        bad = int(value.size - np.isfinite(value).sum())
        if bad and (name in weights or np.isnan(value).any()):
            yield name, bad, value.size


def _array(name: str, tensor: TensorProto, path: Path) -> Array:
    try:
        if any(length < 0 for length in tensor.dims):
            raise ValueError(f"a negative length in the shape {list(tensor.dims)}")
        return numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        reason = _first_line(error)
        if isinstance(error, KeyError):
            reason = f"there is no type of values {tensor.data_type}"
        raise ModelError(
            f"{path}: weight {name!r} is not complete: {reason}",
            "export or copy the model again, with its external data",
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
