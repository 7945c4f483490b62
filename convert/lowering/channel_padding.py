"""Input channels in whole blocks, which the compiler needs for weights of 8 bits (w8a16).

For RK3562 both 2.3.2 and 2.5.0 of the toolkit write over the end of their memory where a layer's
input channels are no multiple of 32: of 13 single layers those with 3, 8, 16, 24, 31, 48 and 63
channels ended in SIGSEGV or SIGABRT, those with 32, 64 and 96 did not, and 33 and 40 were lucky. So
such layers get more channels, and weights of 0 for them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper
from onnx.shape_inference import infer_shapes

from ...core.graphs.graph import (
    Graph,
    attributes,
    drop_unread,
    free_name,
    output_axis,
    replace_nodes,
)
from ...core.types import Array

_BLOCK, _PART, _FEW = 32, 8, 4


def needs_whole_blocks(model: ModelProto) -> bool:
    """Return whether any layer has input channels that are no multiple of 32."""
    return any(True for _ in _layers(Graph(model)))


def with_whole_blocks(model: ModelProto) -> ModelProto:
    """Return a copy of a prepared float model that computes the same in whole blocks of channels.

    Convolutions of one group, Gemm and MatMul with constant weights; names of inputs and outputs
    stay.
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    graph = Graph(model)
    missing = dict(_layers(graph))
    taken = set(graph.names)
    nodes: list[NodeProto] = []
    padded: dict[tuple[str, int], str] = {}
    for index, node in enumerate(copy.graph.node):
        if index in missing:
            axis, count = missing[index]
            key = node.input[0], axis
            if key not in padded:
                padded[key] = _joined(copy, graph, node.input[0], axis, count, taken, nodes)
            node.input[0] = padded[key]
            node.input[1] = _widened(copy, graph, node, count, taken)
        nodes.append(node)
    replace_nodes(copy.graph, nodes)
    drop_unread(copy)
    return infer_shapes(copy)


def _layers(graph: Graph) -> Iterator[tuple[int, tuple[int, int]]]:
    """Index of a node -> (axis of its input's channels, how many are missing)."""
    for index, node in enumerate(graph.nodes):
        settings = attributes(node)
        weight = graph.weights.get(node.input[1]) if len(node.input) > 1 else None
        shape = graph.shapes.get(node.input[0]) if len(node.input) else None
        if node.op_type not in ("Conv", "Gemm", "MatMul") or weight is None or not shape:
            continue
        if settings.get("group", 1) != 1 or settings.get("transA") or weight.ndim < 2:
            continue
        axis = 1 if node.op_type == "Conv" else len(shape) - 1
        count = _missing(shape[axis])
        if count and (node.op_type != "MatMul" or weight.ndim == 2):
            yield index, (axis, count)


def _missing(channels: int) -> int:
    """How many channels to add; 0 where none are missing, or none of the ways below helps.

    >>> [_missing(channels) for channels in (3, 16, 24, 64, 31)]
    [29, 16, 8, 0, 0]
    """
    fits = channels <= _FEW or channels % _PART == 0
    return -channels % _BLOCK if fits else 0


def _joined(
    model: ModelProto,
    graph: Graph,
    name: str,
    axis: int,
    count: int,
    taken: set[str],
    nodes: list[NodeProto],
) -> str:
    """The tensor with ``count`` more channels: its own again, as their weights are 0 anyway.

    Of images, whose few channels cannot be taken apart without another SIGABRT, zeros, which are
    stored in the size of the image.
    """
    shape = list(graph.shapes[name])
    channels, shape[axis] = shape[axis], count
    if channels <= _FEW:
        parts = [name, _constant(model, f"{name}.zeros", np.zeros(shape, np.float32), taken)]
    else:
        parts = [name] * (1 + count // channels)
        count %= channels
        if count:
            parts.append(_free(f"{name}.first", taken))
            ends = [
                _constant(model, f"{name}.{argument}", np.array([value], np.int64), taken)
                for argument, value in (("start", 0), ("stop", count), ("axis", axis))
            ]
            nodes.append(helper.make_node("Slice", [name, *ends], [parts[-1]], parts[-1]))
    whole = _free(f"{name}.whole", taken)
    nodes.append(helper.make_node("Concat", parts, [whole], whole, axis=axis))
    return whole


def _widened(model: ModelProto, graph: Graph, node: NodeProto, count: int, taken: set[str]) -> str:
    weight = graph.weights[node.input[1]]
    inputs = 1 - output_axis(node)
    ends = [(0, count if axis == inputs else 0) for axis in range(weight.ndim)]
    return _constant(model, f"{node.output[0]}.padded-weight", np.pad(weight, ends), taken)


def _constant(model: ModelProto, name: str, value: Array, taken: set[str]) -> str:
    free = _free(name, taken)
    model.graph.initializer.append(numpy_helper.from_array(value, free))
    return free


def _free(name: str, taken: set[str]) -> str:
    free = free_name(name, taken)
    taken.add(free)
    return free
