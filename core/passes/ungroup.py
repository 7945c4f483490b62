"""A grouped ConvTranspose as one of a single group, or as one for each group.

rknn-toolkit2 2.5.0 builds those of one group and depthwise ones alone so that its own simulator can
read them in int8 ("scale_inf.shape error!"). With zeros between the groups it is still the same
sum. On RK3588 that takes an estimated 0.04 ms where the split form takes 0.11 (2 groups of 32
channels), 0.20 and 0.22 (4 of 128), 0.71 and 0.42 (4 of 256).
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from ..graphs.graph import (
    Graph,
    attributes,
    drop_unread,
    free_name,
    replace_nodes,
    set_attribute,
)
from ..types import Array

_DENSE_CHANNELS = 128  # up to which zeros cost less than moving the groups about
_MOST_PARTS = 8


def ungroup(model: ModelProto) -> None:
    """Change ``model`` in place: no ConvTranspose of constant weights has groups, but depthwise.

    Results are the same, up to the order of the sums.
    """
    graph = Graph(model)
    builder = _Ungrouper(model, graph)
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        groups = attributes(node).get("group", 1) if node.op_type == "ConvTranspose" else 1
        is_constant = all(name in graph.weights for name in node.input[1:] if name)
        weight = graph.weights[node.input[1]] if groups > 1 and is_constant else None
        if weight is None or weight.shape[:2] == (groups, 1):
            nodes.append(node)
        elif len(weight) <= _DENSE_CHANNELS or groups > _MOST_PARTS:
            nodes.append(builder.dense(node, weight, groups))
        else:
            nodes.extend(builder.split(node, weight, groups))
    if builder.is_used:
        replace_nodes(model.graph, nodes)
        drop_unread(model)


class _Ungrouper:
    """Makes the nodes that stand for one, and their constants."""

    def __init__(self, model: ModelProto, graph: Graph) -> None:
        self.is_used = False
        self._model = model
        self._graph = graph
        self._taken = set(graph.names)

    def dense(self, node: NodeProto, weight: Array, groups: int) -> NodeProto:
        """Return a node of one group, with zeros where the groups do not meet."""
        inputs, outputs = len(weight) // groups, weight.shape[1]
        wide = np.zeros((len(weight), groups * outputs, *weight.shape[2:]), weight.dtype)
        for group in range(groups):
            rows = slice(group * inputs, (group + 1) * inputs)
            wide[rows, group * outputs : (group + 1) * outputs] = weight[rows]
        dense: NodeProto = NodeProto.FromString(node.SerializeToString())
        set_attribute(dense, "group", 1)
        dense.input[1] = self._constant(f"{node.output[0]}.weight", wide)
        return dense

    def split(self, node: NodeProto, weight: Array, groups: int) -> list[NodeProto]:
        """Return a node for each group, between a Split and a Concat."""
        output = node.output[0]
        sizes = self._constant(f"{output}.sizes", np.full(groups, len(weight) // groups, np.int64))
        bias = self._graph.weights.get(node.input[2]) if len(node.input) > 2 else None
        parts = [self._name(f"{output}.part") for _ in range(groups)]
        results = [self._name(f"{output}.result") for _ in range(groups)]
        nodes = [
            helper.make_node("Split", [node.input[0], sizes], parts, f"{output}.split", axis=1)
        ]
        for group, weights in enumerate(np.split(weight, groups)):
            part = NodeProto.FromString(node.SerializeToString())
            set_attribute(part, "group", 1)
            part.name, part.output[0] = results[group], results[group]
            part.input[:2] = [parts[group], self._constant(f"{output}.weight", weights)]
            if bias is not None:
                values = np.split(bias, groups)[group]
                part.input[2] = self._constant(f"{output}.bias", values)
            nodes.append(part)
        return [*nodes, helper.make_node("Concat", results, [output], node.name, axis=1)]

    def _constant(self, name: str, value: Array) -> str:
        free = self._name(name)
        self._model.graph.initializer.append(numpy_helper.from_array(value, free))
        return free

    def _name(self, name: str) -> str:
        self.is_used = True
        free = free_name(name, self._taken)
        self._taken.add(free)
        return free
