"""Layers that the compiler has given to the CPU, and what can be done about each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod

from onnx import ModelProto, NodeProto

from ...core.diagnostics import Diagnostic, option
from ...core.graphs.graph import Graph
from ..chips.compiler_log import Layer, fallback_reasons, feature_formats
from .audit_view import view_of
from .graph_cut import replacing_hint

_SMALL_COPY = 1 << 16  # elements; some tens of microseconds
_ADVICE = {
    "Transpose": "transpose a smaller tensor",
    "AveragePool": "export it with count_include_pad=1, or put the padding into a Pad before it",
    "LogSoftmax": "take the Softmax over channels (axis 1), and its logarithm on the host",
    "Softmax": "take the Softmax over channels (axis 1)",
}


def cpu_warnings(layers: Sequence[Layer], log: str, model: ModelProto) -> Iterator[Diagnostic]:
    """Warn once of the layers of a table that run on the CPU, with the reasons of the ``log``.

    ``model`` is what was built, quantized or not. Reasons that the table has no layer for are
    warnings of their own where it has none at all, or such a layer only copies a little.
    """
    reasons, formats = fallback_reasons(log), feature_formats(log)
    slow = [layer for layer in layers if _is_slow(layer)]
    small = [layer for layer in layers if layer.runs_on == "CPU" and layer not in slow]
    if slow:
        unlike = {layer.index: _unlike(formats.get(layer.index, {})) for layer in slow}
        yield _table_warning(slow, len(layers), reasons, unlike, model)
    for op, reason in reasons.items():
        if not layers or any(op in layer.op for layer in small):
            text = f"the compiler gives {op} to the CPU: {reason}"
            yield Diagnostic("cpu-fallback-layer", text, _advice([op]), subject=op)


def _table_warning(
    slow: Sequence[Layer],
    total: int,
    reasons: dict[str, str],
    unlike: dict[int, str],
    model: ModelProto,
) -> Diagnostic:
    verb = "runs" if len(slow) == 1 else "run"
    listed = ", ".join(
        f"{layer.name} ({_why(layer.op, unlike[layer.index], reasons)})" for layer in slow
    )
    text = f"{len(slow)} of {total} layers {verb} on the CPU: {listed}"
    return Diagnostic("cpu-fallback-layer", text, _hint(slow, unlike, model))


def _hint(slow: Sequence[Layer], unlike: dict[int, str], model: ModelProto) -> str:
    if all(unlike.values()):
        return (
            "bring what such a layer reads into one number format; "
            f"{option('mixed', 'off')} leaves nothing in float16 on purpose"
        )
    graph = view_of(model, None).graph
    nodes = [node for layer in slow if (node := _node_of(graph, layer.name)) is not None]
    advice = _advice([layer.op for layer in slow])
    return replacing_hint(graph, nodes, advice) if len(nodes) == len(slow) else advice


def _unlike(formats: Mapping[str, str]) -> str:
    """Return which number formats a layer reads, if several: the NPU takes only one at a time.

    >>> _unlike({"a": "INT8", "b": "FLOAT16", "c": "FLOAT16"})
    'reads INT8 (a) and FLOAT16 (b)'
    """
    first: dict[str, str] = {}
    for tensor, dtype in formats.items():
        first.setdefault(dtype, tensor)
    parts = [f"{dtype} ({tensor})" for dtype, tensor in first.items()]
    return f"reads {' and '.join(parts)}" if len(parts) > 1 else ""


def _why(op: str, unlike: str, reasons: dict[str, str]) -> str:
    said = next((why for name, why in reasons.items() if name in op), "")
    reason = "; ".join(filter(None, (said, unlike)))
    return f"{op}: {reason}" if reason else op


def _advice(ops: Sequence[str]) -> str:
    single = ops[0] if len(set(ops)) == 1 else ""
    general = "replace the operator" if len(ops) == 1 else "replace the operators"
    return next((text for op, text in _ADVICE.items() if op in single), general)


def _node_of(graph: Graph, name: str) -> NodeProto | None:
    """Return the node that a layer comes from: the compiler appends to its name, or its output's.

    The longest name that the layer's begins with.
    """
    name = name.partition(":")[2] or name
    named = {label: node for node in graph.nodes for label in (node.name, *node.output) if label}
    return named.get(max(filter(name.startswith, named), key=len, default=""))


def _is_slow(layer: Layer) -> bool:
    """Whether it runs on the CPU and counts: a Reshape after a Gemm does, but copies little."""
    if layer.runs_on != "CPU" or layer.is_boundary:
        return False
    elements = sum(prod(shape) for shape in layer.output_shapes)
    return layer.op != "Reshape" or elements > _SMALL_COPY
