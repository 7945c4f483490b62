"""A model's outputs before a last Softmax or Sigmoid.

There the error of every sample counts: where a Softmax is sure, hardly any error is left behind it,
and where it is not, nearly all.
"""

from __future__ import annotations

from dataclasses import dataclass

from onnx import ModelProto

from ...core.graphs.graph import Graph, attributes
from ...core.types import Array

_PASSED = ("QuantizeLinear", "DequantizeLinear", "Identity")


@dataclass(frozen=True)
class Logits:
    """The ``tensor`` that an output is computed from, or the output itself.

    Along ``axis``, if any, adding the same to all values changes nothing.
    """

    tensor: str
    axis: int | None = None

    def without_offset(self, values: Array) -> Array:
        """Return the values with their mean along the axis, if any, taken off."""
        return values if self.axis is None else values - values.mean(self.axis, keepdims=True)


def logits_of(model: ModelProto) -> tuple[Logits, ...]:
    """Return the logits of every output of a float model, or of its quantized form."""
    graph = Graph(model)
    return tuple(_before(graph, name) for name in graph.output_names)


def _before(graph: Graph, output: str) -> Logits:
    node = graph.producers.get(output)
    while node is not None and node.op_type in _PASSED:
        node = graph.producers.get(node.input[0])
    if node is None or node.op_type not in ("Softmax", "Sigmoid"):
        return Logits(output)
    if node.input[0] not in graph.producers:
        return Logits(output)
    axis = attributes(node).get("axis", -1) if node.op_type == "Softmax" else None
    return Logits(node.input[0], axis)
