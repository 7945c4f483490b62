"""Two convolutions with nothing between them, as the one that they come to where that is cheaper.

The first block of MobileNetV2 and of EfficientNet ends in a narrow 1x1 convolution without an
activation, and the next begins with another one. Their product does more multiplications, but on a
chip a layer of few channels takes as long as one of many, so that one of two is for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from onnx import ModelProto, NodeProto, numpy_helper

from ...core.graphs.dense import DenseLayer, dense_layers
from ...core.graphs.graph import Graph, attributes, drop_unread, refill, replace_nodes
from ...core.graphs.layers import LayerShape, layer_of
from ...core.types import Array
from .layer_selection import matches

Pair = tuple[DenseLayer, DenseLayer]


def mergeable_pairs(
    graph: Graph, cost: Callable[[LayerShape], float], keep: Sequence[str] = ()
) -> list[Pair]:
    """Return the convolutions before a 1x1 convolution alone that cost more than both as one.

    A layer whose node or weight a glob of ``keep`` names stays. No layer is in two pairs.
    """
    by_input = {layer.x: layer for layer in dense_layers(graph) if _is_pointwise(graph, layer)}
    pairs: list[Pair] = []
    taken: set[str] = set()
    for first in dense_layers(graph):
        second = by_input.get(first.y)
        if second is None or taken & {first.weight, second.weight}:
            continue
        names = [{layer.node.name, layer.weight} for layer in (first, second)]
        is_lone = len(graph.consumers[first.y]) == 1 and first.y not in graph.output_names
        is_kept = any(matches(glob, layer) for layer in names for glob in keep)
        if not is_lone or not _is_convolution(first) or is_kept:
            continue
        if _gain(graph, first.node, second.node, cost) > 0:
            pairs.append((first, second))
            taken |= {first.weight, second.weight}
    return pairs


def _is_convolution(layer: DenseLayer) -> bool:
    return layer.node.op_type == "Conv" and bool(layer.bias)


def _is_pointwise(graph: Graph, layer: DenseLayer) -> bool:
    """Return whether a layer is a convolution that takes every pixel of its input by itself."""
    settings = attributes(layer.node)
    taps, strides = graph.shapes[layer.weight][2:], settings.get("strides", [1])
    is_plain = set(taps) | set(strides) == {1} and not any(settings.get("pads", [0]))
    return _is_convolution(layer) and is_plain


def _gain(
    graph: Graph, first: NodeProto, second: NodeProto, cost: Callable[[LayerShape], float]
) -> float:
    """Return what is saved by one layer in place of two; 0 where their sizes are unknown."""
    before, after = layer_of(graph, first), layer_of(graph, second)
    if before is None or after is None:
        return 0.0
    merged = replace(before, cout=after.cout, adds=after.adds)
    return cost(before) + cost(after) - cost(merged)


def merged(model: ModelProto, pairs: Sequence[Pair]) -> ModelProto:
    """Return a copy in which the second layer of each pair does what both did.

    It keeps its name, its output and the names of its weights, and gets the window of the first:
    W2 (W1 x + b1) + b2 = W2 W1 x + (W2 b1 + b2), exact but for rounding.
    """
    copy, graph = ModelProto(), Graph(model)
    copy.CopyFrom(model)
    firsts = {second.y: (first, second) for first, second in pairs}
    gone = {first.y for first, _ in pairs}
    for tensor in copy.graph.initializer:
        for first, second in pairs:
            if tensor.name in (second.weight, second.bias):
                value = _product(graph, first, second)[tensor.name != second.weight]
                tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    nodes = []
    for node in copy.graph.node:
        if pair := firsts.get(node.output[0]):
            node.input[0] = pair[0].x
            refill(node.attribute, pair[0].node.attribute)
        if node.output[0] not in gone:
            nodes.append(node)
    replace_nodes(copy.graph, nodes)
    drop_unread(copy)
    refill(copy.graph.value_info, [v for v in copy.graph.value_info if v.name not in gone])
    return copy


def _product(graph: Graph, first: DenseLayer, second: DenseLayer) -> tuple[Array, Array]:
    """Return the weight (outputs of the second, inputs of the first, ...) and the bias of both."""
    inner, outer = (graph.weights[layer.weight].astype(np.float64) for layer in (first, second))
    mix = outer.reshape(len(outer), -1)
    bias = mix @ graph.weights[first.bias].astype(np.float64) + graph.weights[second.bias]
    like = graph.weights[second.weight].dtype
    return np.tensordot(mix, inner, 1).astype(like), bias.astype(like)
