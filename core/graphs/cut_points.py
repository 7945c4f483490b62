"""The tensors that a model is sensibly ended at: its last layers, parts of a join, and branches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from onnx import NodeProto

from ..types import Shape
from .graph import Graph, read_by
from .joins import MOVING, WHOLE, joined_tensors, output_joins

_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN")
_NAMED = 2  # outputs that a reason names


@dataclass(frozen=True)
class CutPoint:
    """A tensor, its shape (None where that is not known), and what makes it a place to end at."""

    tensor: str
    shape: Shape | None
    reason: str


def cut_points(graph: Graph) -> tuple[CutPoint, ...]:
    """Return the places in the order of the graph, each tensor once; no outputs of the model.

    These are what the last layers with weights give, before any decoding; what is joined into an
    output; and where the ways to several outputs part.
    """
    ahead = _Ahead(graph)
    reasons: dict[str, str] = {}
    for tensor, reason in [*_joined(graph), *_last_layers(graph, ahead), *_branches(graph, ahead)]:
        reasons.setdefault(tensor, reason)
    ends = {name for name in graph.producers if name in reasons} - set(graph.output_names)
    return tuple(
        CutPoint(name, graph.shapes.get(name), reasons[name])
        for name in graph.producers
        if name in ends
    )


class _Ahead:
    """What lies between each tensor and the outputs: which outputs, and whether a layer."""

    def __init__(self, graph: Graph) -> None:
        self.outputs: dict[str, frozenset[str]] = defaultdict(frozenset)
        self.has_layer: dict[str, bool] = defaultdict(bool)
        self.outputs.update({name: frozenset([name]) for name in graph.output_names})
        for node in reversed(graph.nodes):
            outputs = self.outputs_of(node)
            has_layer = has_weights(graph, node) or any(map(self.has_layer.get, node.output))
            for name in read_by(node):
                self.outputs[name] |= outputs
                self.has_layer[name] |= has_layer

    def outputs_of(self, node: NodeProto) -> frozenset[str]:
        """Return the outputs of the model that a node has a part in."""
        return frozenset().union(*(self.outputs[name] for name in node.output))


def has_weights(graph: Graph, node: NodeProto) -> bool:
    """Return whether a node is a layer with weights, and not one that decodes a distribution.

    Detectors take the mean of a Softmax over distances by a convolution with weights 0, 1, 2 ...
    """
    if node.op_type not in _WEIGHTED or not _is_constant(graph, node.input[1]):
        return False
    before = graph.producers.get(node.input[0])
    while before is not None and before.op_type in (*MOVING, *WHOLE):
        before = graph.producers.get(before.input[0])
    return before is None or before.op_type != "Softmax"


def _is_constant(graph: Graph, name: str) -> bool:
    node = graph.producers.get(name)
    dequantized = node is not None and node.op_type == "DequantizeLinear"
    return graph.is_weight(node.input[0] if node is not None and dequantized else name)


def _joined(graph: Graph) -> Iterator[tuple[str, str]]:
    for output, join in output_joins(graph).items():
        for name in joined_tensors(graph, join):
            yield name, f"joined into {output}"


def _last_layers(graph: Graph, ahead: _Ahead) -> Iterator[tuple[str, str]]:
    for node in graph.nodes:
        if has_weights(graph, node) and not any(map(ahead.has_layer.get, node.output)):
            outputs = ahead.outputs_of(node)
            yield _with_bias(graph, node), f"last layer before {_names(graph, outputs)}"


def _with_bias(graph: Graph, node: NodeProto) -> str:
    """Return the output of a layer, behind the constant that an Add of its own puts on it."""
    name = str(node.output[0])
    readers = graph.consumers.get(name, [])
    if len(readers) != 1 or readers[0].op_type != "Add":
        return name
    others = [other for other in readers[0].input if other != name]
    return str(readers[0].output[0]) if all(map(graph.is_weight, others)) else name


def _branches(graph: Graph, ahead: _Ahead) -> Iterator[tuple[str, str]]:
    for name in graph.producers:
        outputs = ahead.outputs[name]
        readers = graph.consumers.get(name, [])
        if len(outputs) > 1 and all(ahead.outputs_of(node) != outputs for node in readers):
            yield name, f"the ways to {_names(graph, outputs)} part"


def _names(graph: Graph, outputs: frozenset[str]) -> str:
    names = [name for name in graph.output_names if name in outputs]
    more = len(names) - _NAMED
    text = " and ".join(names) if more <= 0 else ", ".join(names[:_NAMED])
    return f"{text} and {more} more" if more > 0 else text
