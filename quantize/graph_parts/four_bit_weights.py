"""Which constants the toolkit (2.5.0) rounds to 4 bits: weights of layers, and some others.

The weights of depthwise and transposed convolutions it leaves in float16, and those of grouped ones
with a multiple of 8 inputs a group. Any other grouped convolution it makes one of a single group.
The constant of a matrix product it takes for a weight also where it stands first, has a single
axis, or axes of length 1 in front; several matrices it multiplies in float16.
"""

from __future__ import annotations

from collections.abc import Collection
from math import prod

import numpy as np
from onnx import NodeProto

from ...core.graphs.graph import Graph
from ...core.types import Array
from .placement import weighted_nodes
from .weighted_layers import WeightedLayer, layers_from

_PRODUCTS = ("MatMul", "Gemm", "Einsum")
# inputs of a group: multiples of it are multiplied as groups, others as one group with zeros
_GROUP_STEP = 8


def four_bit_layers(graph: Graph) -> list[WeightedLayer]:
    """Return the layers whose weights the toolkit rounds to 4 bits; others are in float16."""
    layers = layers_from(graph, weighted_nodes(graph))
    return [layer for layer in layers if _is_rounded(layer)]


def _is_rounded(layer: WeightedLayer) -> bool:
    if layer.groups == 1:
        return layer.node.op_type != "ConvTranspose"
    inputs = layer.weight.shape[1]  # of a group
    is_depthwise = inputs == 1 and layer.channels == layer.groups
    return not is_depthwise and inputs % _GROUP_STEP != 0


def other_products(graph: Graph) -> dict[str, Array]:
    """Return name -> value of the constants that it rounds and that are no layer's weight here."""
    layers = weighted_nodes(graph)
    weights = {node.input[1] for node in layers}
    outputs = {node.output[0] for node in layers}
    return {
        name: graph.weights[name]
        for node in graph.nodes
        if node.op_type in _PRODUCTS and node.output[0] not in outputs
        for name in _constants(graph, node)
        if name not in weights
    }


def products_with(graph: Graph, names: Collection[str]) -> list[str]:
    """Return what matrix products make with one of these constants, in graph order."""
    return [
        node.output[0]
        for node in graph.nodes
        if node.op_type in _PRODUCTS and not {*names}.isdisjoint(node.input[:2])
    ]


def _constants(graph: Graph, node: NodeProto) -> list[str]:
    names = [name for name in node.input[:2] if name in graph.weights]
    values = [graph.weights[name] for name in names]
    is_one_matrix = all(
        value.dtype == np.float32 and (node.op_type == "Einsum" or prod(value.shape[:-2]) == 1)
        for value in values
    )
    return names if len(names) == 1 and is_one_matrix else []
