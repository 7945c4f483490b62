"""Operators of a model that the compiler will give to the CPU, or refuse."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import numpy as np
from onnx import NodeProto, TensorProto

from ...core.diagnostics import Diagnostic
from ...core.graphs.graph import Graph, attributes, constant_value, read_by
from ..chips.operators import MEASURED_WITH, OffNpu, off_npu
from ..chips.targets import Target
from .audit_view import AuditView
from .graph_cut import replacing_hint

_SHOWN = 5
_BY_SHAPE = ("Shape", "Size")  # what these give does not depend on values
_NORM = {"ReduceMean", "Add", "Max", "Clip"}  # what stands between a mean of squares and its root


def operator_warnings(
    view: AuditView, target: Target, quantization: str, skipped: Collection[str]
) -> Iterator[Diagnostic]:
    """Warn once of all nodes that leave the NPU, and once of all that stop the build.

    ``skipped`` names outputs of nodes that another warning asks to be cut away.
    """
    left: list[NodeProto] = []
    refused: list[NodeProto] = []
    for node in view.graph.nodes:
        if node.output[0] in skipped:
            continue
        for row in off_npu(target.name, _format(view, node, quantization)):
            if row.operator == node.op_type and _applies(row, view.graph, node):
                (refused if row.refused else left).append(node)
                break
    if refused:
        text = f"rknn-toolkit2 cannot build {_listed(refused)} (measured with {MEASURED_WITH})"
        yield Diagnostic("toolkit-operator", text, _hint(view.graph, refused))
    if left:
        verb = "runs" if len(left) == 1 else "run"
        text = f"{_listed(left)} {verb} on the CPU of {target.name} (measured with rknn-toolkit2 "
        text += f"{MEASURED_WITH})"
        yield Diagnostic("cpu-fallback-operator", text, _hint(view.graph, left))


def _hint(graph: Graph, nodes: list[NodeProto]) -> str:
    many = "s" if len(nodes) > 1 else ""
    return replacing_hint(graph, nodes, f"replace the operator{many}")


def _format(view: AuditView, node: NodeProto, quantization: str) -> str:
    """The number format in which the NPU would run the node."""
    if quantization == "qdq" and view.quantized is not None:
        return "int8" if node.output[0] in view.quantized else "float16"
    return "float16" if quantization == "float16" else "int8"


def leaves_npu(graph: Graph, node: NodeProto, target: Target, dtype: str) -> bool:
    """Return whether the compiler gives a node to the CPU in a number format, int8 or float16."""
    rows = off_npu(target.name, "float16" if dtype == "float16" else "int8")
    return any(row.operator == node.op_type and _applies(row, graph, node) for row in rows)


def _applies(row: OffNpu, graph: Graph, node: NodeProto) -> bool:
    if not _depends_on_input(graph, node):
        return False  # constants and shapes decide it: the toolkit folds it
    return not row.where or CONDITIONS[row.where](graph, node)


def _depends_on_input(graph: Graph, node: NodeProto) -> bool:
    """Whether a node reads values that some input of the model reaches, but for its shape."""
    pending, visited = read_by(node), set[str]()
    while pending:
        name = pending.pop()
        if name in graph.input_names:
            return True
        before = graph.producers.get(name)
        if name not in visited and before is not None and before.op_type not in _BY_SHAPE:
            pending += read_by(before)
        visited.add(name)
    return False


def _padding_not_counted(graph: Graph, node: NodeProto) -> bool:
    settings = attributes(node)
    return any(settings.get("pads", ())) and not settings.get("count_include_pad", 0)


def _to_integer(graph: Graph, node: NodeProto) -> bool:
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
    return attributes(node).get("to") not in floats


def _two_tensors(graph: Graph, node: NodeProto) -> bool:
    root = graph.producers.get(node.input[1])
    normalising = root is not None and root.op_type == "Sqrt" and not _outside_norm(graph, root)
    return not normalising and not any(graph.is_weight(name) for name in node.input)


def _two_vectors(graph: Graph, node: NodeProto) -> bool:
    return _rank(graph, node) == 2 and _two_tensors(graph, node)


def _rank(graph: Graph, node: NodeProto) -> int | None:
    shape = graph.shapes.get(node.output[0])
    return None if shape is None else len(shape)


def _with_single_number(graph: Graph, node: NodeProto) -> bool:
    return any(name in graph.weights and graph.weights[name].size == 1 for name in node.input)


def _broken_exponent(graph: Graph, node: NodeProto) -> bool:
    exponent = _exponent(graph, node)
    return exponent is not None and exponent != 0.5 and not exponent.is_integer()


def _exponent(graph: Graph, node: NodeProto) -> float | None:
    exponent = constant_value(graph, node, 1)
    return float(exponent.reshape(-1)[0]) if exponent is not None and exponent.size == 1 else None


def _outside_norm(graph: Graph, node: NodeProto) -> bool:
    """Not the root of a mean of squares: that the compiler takes for a normalisation."""
    before = graph.producers.get(node.input[0])
    return before is None or before.op_type not in _NORM


def _outside_gelu(graph: Graph, node: NodeProto) -> bool:
    """Not the Erf of x * (1 + erf(x / sqrt 2)) / 2, which the compiler knows as a whole."""
    readers = graph.consumers.get(node.output[0], [])
    return len(readers) != 1 or readers[0].op_type != "Add"


def _is_linear(node: NodeProto) -> bool:
    return str(attributes(node).get("mode", "nearest")) == "linear"


def _aligned_corners(graph: Graph, node: NodeProto) -> bool:
    mode = attributes(node).get("coordinate_transformation_mode")
    return _is_linear(node) and mode == "align_corners"


def _broken_factor(graph: Graph, node: NodeProto) -> bool:
    """Larger by a factor that is no whole number, in height or width."""
    before, after = graph.shapes.get(node.input[0]), graph.shapes.get(node.output[0])
    if not _is_linear(node) or before is None or after is None:
        return False
    return any(large > small and large % small for small, large in zip(before, after, strict=True))


def _steps(graph: Graph, node: NodeProto) -> bool:
    steps = constant_value(graph, node, 4)
    return steps is not None and bool((np.abs(steps) != 1).any())


CONDITIONS: dict[str, Callable[[Graph, NodeProto], bool]] = {
    "padding not counted": _padding_not_counted,
    "to an integer": _to_integer,
    "two tensors": _two_tensors,
    "two vectors": _two_vectors,
    "of fewer than four axes": lambda graph, node: (_rank(graph, node) or 4) < 4,
    "a constant by a tensor": lambda graph, node: graph.is_weight(node.input[0]),
    "computed indices": lambda graph, node: not graph.is_weight(node.input[1]),
    "with a single number": _with_single_number,
    "exponent 0.5": lambda graph, node: _exponent(graph, node) == 0.5,
    "a broken exponent": _broken_exponent,
    "outside a norm": _outside_norm,
    "inside a norm": lambda graph, node: not _outside_norm(graph, node),
    "outside a GELU": _outside_gelu,
    "linear, aligned corners": _aligned_corners,
    "linear, broken factor": _broken_factor,
    "defaults left out": lambda graph, node: not {"axis", "epsilon"} <= attributes(node).keys(),
    "cubic": lambda graph, node: attributes(node).get("mode") == "cubic",
    "a step other than 1": _steps,
}


def _listed(nodes: list[NodeProto]) -> str:
    shown = ", ".join(f"{n.op_type} {n.name or n.output[0]!r}" for n in nodes[:_SHOWN])
    return shown + (f" and {len(nodes) - _SHOWN} more" if len(nodes) > _SHOWN else "")
