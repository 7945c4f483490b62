"""Constants that int8 operators compute with: they need a scale as activations do.

Without one rknn-toolkit2 2.5.0 computes the operator in float16, between two conversions, where the
constant is a number or has four axes, and crashes on any other (SIGSEGV), such as the grid or the
strides of a detector. With one it computes in int8 what the model says, on RV1106 too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from ...core.graphs.graph import Graph
from ...core.types import Array, Float64, Range
from ..numeric.constant_scales import rounded
from .placement import hidden_tensors, stored_as, weighted_nodes

_AXES = 4
_OPERATORS = ("Add", "Sub", "Mul", "Div", "Min", "Max")


@dataclass(frozen=True, eq=False)
class ConstantOperand:
    """A constant at a ``position`` of an elementwise node; ``other`` is the tensor beside it.

    ``result`` is what is stored: what the node computes, or the activation behind it. Where the
    constant ``may_be_float`` the compiler takes it without a scale, given four axes.
    """

    node: NodeProto
    position: int
    name: str
    values: Array
    other: str
    result: str
    may_be_float: bool

    def with_four_axes(self) -> Array:
        """Return the values as the compiler takes them without a scale."""
        return self.values.reshape((1,) * max(_AXES - self.values.ndim, 0) + self.values.shape)

    def error(self, scale: float, zero_point: int, other: Range, result: Range) -> float:
        """Return by how much rounding the constant moves the result at most, inf if without end.

        ``other`` is the range of what is beside it, ``result`` that of what is computed.
        """
        values = self.values.astype(np.float64)
        lost = np.abs(rounded(values, scale, zero_point) - values)
        if self.node.op_type == "Mul":
            return float(lost.max() * max(-other[0], other[1]))
        if self.node.op_type != "Div":
            return float(lost.max())
        ratio = _ratio(lost, values if self.position == 0 else rounded(values, scale, zero_point))
        return float(ratio.max() * max(-result[0], result[1]))


def constant_operands(graph: Graph, tensors: Collection[str]) -> Iterator[ConstantOperand]:
    """Yield the constants of the operators that read and make quantized tensors alone.

    The bias of a matrix product is none of them: the toolkit joins it to the product.
    """
    hidden = hidden_tensors(graph)
    layers = {node.output[0] for node in weighted_nodes(graph)}
    for node in graph.nodes:
        if node.op_type not in _OPERATORS or len(node.input) != 2 or node.output[0] in hidden:
            continue
        positions = [index for index, name in enumerate(node.input) if graph.is_weight(name)]
        result = stored_as(graph, node.output[0])
        if len(positions) != 1 or result not in tensors:
            continue
        name, other = node.input[positions[0]], node.input[1 - positions[0]]
        values = graph.weights[name]
        is_bias = node.op_type in ("Add", "Sub") and other in layers
        if other in tensors and values.dtype == np.float32 and values.size and not is_bias:
            may_be_float = values.size == 1 or len(graph.shapes[result]) == _AXES
            yield ConstantOperand(node, positions[0], name, values, other, result, may_be_float)


def _ratio(lost: Float64, values: Float64) -> Float64:
    """Return lost / values, 0 where nothing is lost."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(lost > 0, lost / np.abs(values), 0.0)
