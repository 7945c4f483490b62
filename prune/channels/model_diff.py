"""Where a pruned model differs from the one that it was cut from, by the names they share.

A node differs when it has lost channels, or when it gives the total of a block that was removed;
see blocks.py.
"""

from __future__ import annotations

from ...core.graphs.dense import DenseLayer, dense_layers
from ...core.graphs.graph import Graph
from ...core.graphs.layers import residual_of


def first_change(graph: Graph, before: Graph) -> int:
    """Return the index of the first node that differs from that of the model ``before``."""
    stand_ins = _stand_ins(graph, before)
    return next(
        index
        for index, (node, original) in enumerate(zip(graph.nodes, before.nodes, strict=False))
        if node.output != original.output
        or node.input != original.input
        or stand_ins.intersection(node.input)
        or any(_is_sliced(name, graph, before) for name in node.input)
    )


def _stand_ins(graph: Graph, before: Graph) -> set[str]:
    """Return the weights of the layers that have to give the total of a removed block."""
    results = ((layer, residual_sum(graph, layer)[0] or layer.y) for layer in dense_layers(graph))
    return {layer.weight for layer, name in results if _has_other_producer(graph, name, before)}


def _has_other_producer(graph: Graph, tensor: str, before: Graph) -> bool:
    """Return whether another node gave this tensor before: one of a block that is removed."""
    node, original = graph.producers[tensor], before.producers[tensor]
    return node.op_type != original.op_type or node.input != original.input


def _is_sliced(name: str, graph: Graph, before: Graph) -> bool:
    return name in graph.weights and graph.shapes[name] != before.shapes.get(name)


def affected_weights(graph: Graph, before: Graph) -> set[str]:
    """Return the weights of the layers whose input differs, or that stand in for a block."""
    changed: set[str] = set()
    weights = _stand_ins(graph, before)
    for node in graph.nodes:
        if changed.intersection(node.input):
            weights.update(node.input)
            changed.update(node.output)
        elif (
            weights.intersection(node.input)
            or _has_other_producer(graph, node.output[0], before)
            or any(_is_sliced(name, graph, before) for name in node.input)
        ):
            changed.update(node.output)
    return weights


def residual_sum(graph: Graph, layer: DenseLayer) -> tuple[str, str]:
    """Return the output and the other input of the residual Add after a layer; ("", "") if none."""
    names = residual_of(graph, layer.node) if layer.node.op_type == "Conv" else None
    return names or ("", "")
