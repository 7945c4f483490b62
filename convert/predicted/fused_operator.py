"""What runs as one layer."""

from __future__ import annotations

from dataclasses import dataclass

from onnx import NodeProto


@dataclass(frozen=True)
class FusedOperator:
    """Nodes that the compiler joins; ``op`` is its name of them, such as ConvRelu.

    ``reads`` and ``writes`` are the activations that enter and leave. Of a convolution that takes a
    Concat in, ``summed`` are the inputs of that.
    """

    op: str
    nodes: tuple[NodeProto, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    summed: tuple[str, ...] = ()

    @property
    def first(self) -> NodeProto:
        """Return the node that gives the layer its name and its weights."""
        return self.nodes[0]
