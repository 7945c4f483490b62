"""Where a model has to end for some of its nodes to go, and whether that leaves what it is for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from onnx import NodeProto

from ...core.diagnostics import option
from ...core.graphs.graph import Graph, read_by
from ...core.graphs.layers import layer_of

_LEAST_LEFT = 0.9  # of the multiply-accumulates; what follows them is the decoding of a result
_WEIGHTED = {"Conv", "ConvTranspose", "Gemm", "MatMul"}


def downstream(graph: Graph, nodes: Iterable[NodeProto]) -> list[NodeProto]:
    """Return some nodes and all that depends on them, in graph order."""
    names = {node.output[0] for node in nodes}
    reached: set[str] = set()
    tail = []
    for node in graph.nodes:
        if node.output[0] in names or reached.intersection(read_by(node)):
            tail.append(node)
            reached.update(node.output)
    return tail


def outputs_without(graph: Graph, tail: Sequence[NodeProto]) -> list[str]:
    """Return the outputs of the model without its ``tail``; [] where nothing computed is left.

    Those of the model that stay, and for those that go, what the tail reads of the rest.
    """
    inside = {name for node in tail for name in node.output}
    read = (name for node in tail for name in read_by(node))
    ends = [name for name in read if name not in inside and name in graph.producers]
    outputs: list[str] = []
    for name in graph.output_names:
        outputs += ends if name in inside else [name]
    return list(dict.fromkeys(outputs)) if ends else []


def outputs_before(graph: Graph, nodes: Iterable[NodeProto]) -> list[str]:
    """Return the outputs of the model ended before these nodes; [] where too little is left."""
    tail = downstream(graph, nodes)
    lost, total = (sum(_macs(graph, node) for node in those) for those in (tail, graph.nodes))
    return outputs_without(graph, tail) if lost <= (1 - _LEAST_LEFT) * total else []


def replacing_hint(graph: Graph, nodes: Sequence[NodeProto], advice: str) -> str:
    """Return the advice, and where else to end the model, if that leaves what it is for."""
    if outputs := outputs_before(graph, nodes):
        place = "it" if len(nodes) == 1 else "them"
        return f"{advice}, or end the model before {place} with {option('outputs', outputs)}"
    return f"{advice}; too little of the model would be left if it ended before"


def _macs(graph: Graph, node: NodeProto) -> int:
    """Return the multiply-accumulates of a node, 1 for a layer of unknown shape."""
    if node.op_type not in _WEIGHTED:
        return 0
    layer = layer_of(graph, node)
    return 1 if layer is None else layer.macs
