"""What is left in 16 bits so that the parts that an output joins keep scales of their own.

In one scale of int8 the smaller parts would be lost, such as scores beside boxes in pixels. So the
join is left in 16 bits, with all that is computed behind the last layers: the decoding of boxes
loses less there too. Of what was tried on a YOLOv8n, such as joining the scales in int8 first, this
is the one that takes less time than all of it in int8 with the same output, or about as much, which
2.5.0 builds only with conversions left in. Estimates of ms in 16 bits and in int8: with 320 pixels
5.93 and 6.61 on RK3588, 4.65 and 4.67 on RK3576, 17.3 and 17.6 on RK3566; with 640 pixels 17.44 and
17.48, 15.11 and 15.07 (the one that is larger), 62.3 and 62.9.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from onnx import NodeProto

from ...core.graphs.graph import Graph
from ...core.graphs.joins import (
    MOVING,
    is_starved,
    joined_tensors,
    joint_step,
    output_joins,
)
from ...core.types import Range
from .attention import moved
from .placement import hidden_tensors, is_inside, weighted_nodes


def starved_joins(
    graph: Graph, tensors: Collection[str], range_of: Callable[[str], Range]
) -> dict[str, NodeProto]:
    """Return output -> the Concat before it in which some part has less than 8 steps of int8.

    ``tensors`` are those that are quantized otherwise, which ``range_of`` knows.
    """
    starved = {}
    for output, node in output_joins(graph).items():
        names = [name for name in joined_tensors(graph, node) if name in tensors]
        ranges = [range_of(name) for name in dict.fromkeys(names)]
        if node.output[0] not in tensors or len(ranges) < 2:
            continue
        step = joint_step(ranges)
        if any(is_starved(part, step) for part in ranges):
            starved[output] = node
    return starved


def tensors_behind_layers(graph: Graph, join: NodeProto) -> Iterator[str]:
    """Yield a join, all that it is computed from behind the last layers, and that in any shape.

    A layer whose input is a Softmax gives the mean of a distribution, such as a distance: it is
    part of the decoding.
    """
    tensors = _Layers(graph).before(join.output[0])
    yield from tensors
    yield from moved(graph, tensors)


def layers_before(graph: Graph, join: NodeProto) -> tuple[str, ...]:
    """Return what the last layers before a join give: all that it is computed from behind them."""
    tensors = _Layers(graph).before(join.output[0])
    ends: dict[str, None] = {}

    def walk(name: str) -> None:
        for source in graph.producers[name].input:
            if source in tensors:
                walk(source)
            elif source in graph.producers:
                ends[source] = None

    walk(join.output[0])
    return tuple(ends)


def with_probabilities_in_int8(graph: Graph, tensors: Collection[str]) -> set[str]:
    """Return the tensors without those that Sigmoid and Softmax read, and what Sigmoid makes.

    The toolkit (2.5.0) computes both in int8 beside int16, and brings what they read to the range
    that it saw itself: no score of a detector on RV1106 was above 0.5 then, whatever the plan said.
    """
    wide = set(tensors)
    for node in graph.nodes:
        if node.op_type not in ("Sigmoid", "Softmax") or not wide.intersection(node.output):
            continue
        pending = [node.input[0]]
        while pending:
            name = pending.pop()
            producer = graph.producers.get(name)
            wide.discard(name)
            if producer is not None and producer.op_type in (*MOVING, "Concat"):
                pending.extend(source for source in producer.input if source in wide)
        if node.op_type == "Sigmoid":
            wide.difference_update(node.output)
    return wide


class _Layers:
    """Where a network ends, and what only decodes its results begins."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._hidden = hidden_tensors(graph)
        self._nodes = [node for node in weighted_nodes(graph) if not _is_mean(graph, node)]
        self._read = {node.input[0] for node in self._nodes}
        self._made = {name for node in self._nodes for name in node.output}

    def before(self, name: str) -> set[str]:
        """Return a tensor and all that it is computed from, up to what a layer makes or reads."""
        names, pending = set[str](), [name]
        while pending:
            name = pending.pop()
            node = self._graph.producers.get(name)
            if name not in names and node is not None and not self._is_end(name, node):
                names.add(name)
                pending.extend(node.input)
        return names

    def _is_end(self, name: str, node: NodeProto) -> bool:
        is_activation = any(
            source in self._hidden or is_inside(self._graph, source) for source in node.input
        )
        return name in self._read or name in self._made or is_activation


def _is_mean(graph: Graph, node: NodeProto) -> bool:
    """Return whether a layer reads a Softmax, however moved."""
    source = graph.producers.get(node.input[0])
    while source is not None and source.op_type in MOVING:
        source = graph.producers.get(source.input[0])
    return source is not None and source.op_type == "Softmax"
