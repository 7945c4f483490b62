"""What a smaller model does differently from the one that it was made of, by the names they share.

A node is another one when it has lost channels, or when it gives the total of a block that was left
out; see blocks.py.
"""

from __future__ import annotations

from onnx import NodeProto

from ...core.graphs.dense import DenseLayer, dense_layers
from ...core.graphs.graph import Graph
from ...core.graphs.layers import residual_of


def first_change(graph: Graph, before: Graph) -> int:
    """Index of the first node that is another one, has lost channels, or stands in for a block."""
    stand_ins = _stand_ins(graph, before)
    return next(
        index
        for index, (node, was) in enumerate(zip(graph.nodes, before.nodes, strict=False))
        if node.output != was.output
        or node.input != was.input
        or stand_ins.intersection(node.input)
        or any(_is_sliced(name, graph, before) for name in node.input)
    )


def _stand_ins(graph: Graph, before: Graph) -> set[str]:
    """Weights of the layers that have to give the total of a block that was left out."""
    given = ((layer, sum_of(graph, layer)[0] or layer.y) for layer in dense_layers(graph))
    return {layer.weight for layer, name in given if _is_moved(graph.producers[name], name, before)}


def _is_moved(node: NodeProto, output: str, before: Graph) -> bool:
    """Whether another node made this tensor: that of a block which is left out now."""
    was = before.producers[output]
    return node.op_type != was.op_type or node.input != was.input


def _is_sliced(name: str, graph: Graph, before: Graph) -> bool:
    return name in graph.weights and graph.shapes[name] != before.shapes.get(name)


def affected(graph: Graph, before: Graph) -> set[str]:
    """Weights of the layers whose input is not what it was, or that stand in for a block."""
    changed: set[str] = set()
    weights = _stand_ins(graph, before)
    for node in graph.nodes:
        if changed.intersection(node.input):
            weights.update(node.input)
            changed.update(node.output)
        elif (
            weights.intersection(node.input)
            or _is_moved(node, node.output[0], before)
            or any(_is_sliced(name, graph, before) for name in node.input)
        ):
            changed.update(node.output)
    return weights


def sum_of(graph: Graph, layer: DenseLayer) -> tuple[str, str]:
    """Output of the Add that the layer feeds and the Add's other input, when there is one."""
    found = residual_of(graph, layer.node) if layer.node.op_type == "Conv" else None
    return found or ("", "")
