"""What each layer that the compiler makes of a model writes, in the order of the graph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from onnx import ModelProto

from ..audit.audit_view import view_of
from ..chips.targets import Target
from .fusions import fused_operators
from .stored_shapes import channel_axes, silent_moves


@dataclass(frozen=True)
class LayerTensor:
    """A tensor by its name in the float model, and the layer that writes it, such as ConvRelu."""

    name: str
    op: str


def layer_tensors(model: ModelProto, target: Target) -> Iterator[LayerTensor]:
    """Yield what the layers of a prepared model, float or QDQ, write; see ``fused_graph``."""
    graph = view_of(model, None).graph
    same = silent_moves(graph, channel_axes(graph))
    for operator in fused_operators(graph, same, target):
        for name in operator.writes:
            yield LayerTensor(name, operator.op)
