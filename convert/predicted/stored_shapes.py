"""The four axes in which the NPU stores a tensor: (batch, channels, height, width).

Channels are what a layer with weights sums over: axis 1 of an image, the last one of tokens. To
give tokens their heads is one Reshape then, and most of the Transposes around it are nothing.
"""

from __future__ import annotations

from math import prod

from onnx import NodeProto

from ...core.graphs.graph import Graph, attributes
from ...core.types import Shape
from .fusions import RESHAPING

_MOVED = (*RESHAPING, "Split", "Slice", "Gather", "Mul", "Div")
_FIRST = ("Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "Resize")
_LAST = ("MatMul", "Gemm", "LayerNormalization")  # these work along the last axis


def channel_axes(graph: Graph) -> dict[str, int]:
    """Return tensor name -> the axis of its channels, for the inputs and all that is computed."""
    axes = {name: min(1, len(graph.shapes.get(name, ())) - 1) for name in graph.input_names}
    heads = _heads(graph)
    for node in graph.nodes:
        for name in node.output:
            if shape := graph.shapes.get(name):
                axes[name] = _axis(graph, node, shape, axes, innermost=name in heads)
    return axes


def silent_moves(graph: Graph, axes: dict[str, int]) -> dict[str, str]:
    """Return tensor name -> the one that it is stored as, for new shapes that move nothing."""
    same: dict[str, str] = {}
    for node in graph.nodes:
        if node.op_type in RESHAPING and node.input[0] in axes and node.output[0] in axes:
            x, y = (stored_shape(graph.shapes[n], axes[n]) for n in (node.input[0], node.output[0]))
            if x == y:
                same[node.output[0]] = same.get(node.input[0], node.input[0])
    return same


def wanted_axis(graph: Graph, node: NodeProto, name: str) -> int | None:
    """Return the axis along which a node needs the channels of what it reads; None for any."""
    rank = len(graph.shapes.get(name, ()))
    if node.op_type in _LAST:
        return rank - 1
    return 1 if node.op_type in ("Conv", "ConvTranspose") else None


def stored_shape(shape: Shape, axis: int) -> Shape:
    """Return how a tensor is stored whose channels are on ``axis``.

    >>> stored_shape((1, 40, 360), 2), stored_shape((1, 8, 40, 15), 3), stored_shape((1, 9), 1)
    ((1, 360, 1, 40), (8, 15, 1, 40), (1, 9, 1, 1))
    """
    if len(shape) == 4 and axis == 1:
        return shape
    if len(shape) < 2:
        return (1, prod(shape), 1, 1)
    if len(shape) == 2:
        return (1, shape[axis], 1, shape[1 - axis])
    if axis < 2:
        return (shape[0], shape[1], 1, prod(shape[2:]))
    rows = shape[-1] if axis == len(shape) - 2 else shape[axis - 1]
    return (prod(shape) // shape[axis] // rows, shape[axis], 1, rows)


def _axis(
    graph: Graph, node: NodeProto, shape: Shape, axes: dict[str, int], *, innermost: bool
) -> int:
    rank = len(shape)
    usual = min(1, rank - 1)
    if node.op_type in _FIRST:
        return usual
    if node.op_type in _LAST:
        return _axis_of_product(node, rank, axes)
    source = next((name for name in node.input if name in axes), None)
    if source is None:
        return usual
    before, axis = graph.shapes.get(source, ()), axes[source]
    if node.op_type == "Transpose":
        order = attributes(node).get("perm", tuple(reversed(range(rank))))
        return list(order).index(axis)
    if node.op_type in RESHAPING and before:
        return _reshaped(before, axis, shape, innermost=innermost)
    if len(before) == rank:  # tokens stay tokens when something else is added
        same = [axes[n] for n in node.input if n in axes and graph.shapes.get(n) == shape]
        return max([axis, *same])
    if node.op_type == "Gather" and attributes(node).get("axis", 0) < axis:
        return max(axis - 1, 0)
    return usual


def _axis_of_product(node: NodeProto, rank: int, axes: dict[str, int]) -> int:
    """Return the last axis; for values before their weights, as in YOLO11, the one before it."""
    factors = [axes.get(name) for name in node.input[:2]]
    return rank - 2 if rank > 2 and factors == [rank - 2, rank - 2] else rank - 1


def _heads(graph: Graph) -> set[str]:
    """Return what is only moved or scaled until it is multiplied by something computed."""
    names: set[str] = set()
    for node in reversed(graph.nodes):
        product = node.op_type == "MatMul" and not any(map(graph.is_weight, node.input))
        if product or (names.intersection(node.output) and node.op_type in _MOVED):
            names.update(node.input)
    return names


def _reshaped(before: Shape, axis: int, after: Shape, *, innermost: bool) -> int:
    """Return where the channels are after a change of shape, or the inner part of them."""
    outer, inner = prod(before[:axis]), prod(before[axis + 1 :])
    for place, size in enumerate(after):
        if size == before[axis] and prod(after[:place]) == outer:
            return place
    if axis == 1 and not innermost:
        return min(1, len(after) - 1)
    for place in reversed(range(len(after))):  # split: the innermost part, merged: all of it
        if prod(after[place + 1 :]) == inner and after[place] > 1:
            return place
    return min(1, len(after) - 1)
