"""Rounded weights in a float model, for a quantizer that finds their grid again."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import ModelProto, numpy_helper

from ...core.graphs.graph import Graph, drop_unread, free_name
from ..graph_parts.placement import weighted_nodes
from ..graph_parts.weighted_layers import layers_from
from .rounding import Rounded


def with_rounded_weights(model: ModelProto, rounded: Mapping[str, Rounded]) -> ModelProto:
    """Return a float copy of the model whose layers have the rounded weights, and their biases."""
    copy = ModelProto()
    copy.CopyFrom(model)
    graph = Graph(model)
    taken = set(graph.names)
    layers = {layer.name: layer for layer in layers_from(graph, weighted_nodes(graph))}
    for node in copy.graph.node:
        integers = rounded.get(node.output[0]) if node.output else None
        if integers is None:
            continue
        layer = layers[node.output[0]]
        scales = integers.scales.astype(np.float64).reshape(layer.groups, -1, 1)
        values = {1: layer.weight_like(layer.matrix(integers.steps) * scales)}
        if integers.bias is not None and (len(node.input) > 2 or integers.bias.any()):
            values[2] = integers.bias
        for position, value in values.items():
            name = free_name(f"{node.output[0]}.{('weight', 'bias')[position - 1]}", taken)
            taken.add(name)
            tensor = numpy_helper.from_array(np.asarray(value, np.float32), name)
            copy.graph.initializer.append(tensor)
            del node.input[position : position + 1]
            node.input.insert(position, name)
    drop_unread(copy)
    return copy
