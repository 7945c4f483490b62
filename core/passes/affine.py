"""Fold what only scales and shifts a convolution's channels into its weight and bias.

ONNX Runtime folds BatchNormalization, and a Mul or Add by one value a channel, but not one by a
scalar, as in the learned affine layers of PP-LCNetV3. The toolkit folds them all, so a quantized
tensor between the two would have no counterpart there.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, numpy_helper

from ..graphs.graph import Graph, attributes, constant_value, drop_unread, free_name, replace_nodes
from ..types import Array

_SCALING = ("Mul", "Div")
_SHIFTING = ("Add", "Sub")


def fold_affine(model: ModelProto) -> None:
    """Change ``model`` in place: Conv -> Mul/Div/Add/Sub by a constant becomes one Conv.

    The constant is a scalar or has one value a channel. Results change by float rounding only.
    """
    graph = Graph(model)
    folder = _Folder(graph)
    for node in model.graph.node:
        if folder.takes(node):
            folder.take_all_after(node)
    if not folder.gone:
        return
    nodes = [node for node in model.graph.node if id(node) not in folder.gone]
    replace_nodes(model.graph, nodes)
    model.graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in folder.constants.items()
    )
    drop_unread(model)


class _Folder:
    """Walks on from convolutions; collects their new weights and biases."""

    def __init__(self, graph: Graph) -> None:
        self.constants: dict[str, Array] = {}
        self.gone: set[int] = set()  # by id, as the graph keeps the nodes alive
        self._graph = graph
        self._taken = set(graph.names)
        self._outputs = set(graph.output_names)

    def takes(self, node: NodeProto) -> bool:
        """Return whether a node is a convolution with constant float32 weight and bias."""
        grouped = attributes(node).get("group", 1) != 1
        if node.op_type != "Conv" and (node.op_type != "ConvTranspose" or grouped):
            return False
        weights = [name for name in node.input[1:] if name]
        values = [self._graph.weights.get(name) for name in weights]
        return all(value is not None and value.dtype == np.float32 for value in values)

    def take_all_after(self, node: NodeProto) -> None:
        """Fold the affine nodes behind ``node``, one after the other."""
        axis = 1 if node.op_type == "ConvTranspose" else 0
        weight = self._graph.weights[node.input[1]].astype(np.float64)
        channels = weight.shape[axis]
        constant = constant_value(self._graph, node, 2)
        bias = np.zeros(channels) if constant is None else constant.astype(np.float64)
        name, folded = node.output[0], False
        while (reader := self._only_reader(name)) is not None:
            value = self._by_channel(reader, name, channels, weight.ndim)
            if value is None:
                break
            along = value.reshape([-1 if side == axis else 1 for side in range(weight.ndim)])
            if reader.op_type in _SCALING:
                power = 1 if reader.op_type == "Mul" else -1
                weight, bias = weight * along**power, bias * value**power
            else:
                bias = bias + (value if reader.op_type == "Add" else -value)
            self.gone.add(id(reader))
            name, folded = reader.output[0], True
        if folded:
            self._rewrite(node, weight, bias, name)

    def _only_reader(self, name: str) -> NodeProto | None:
        readers = self._graph.consumers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self._outputs else None

    def _by_channel(self, node: NodeProto, source: str, channels: int, rank: int) -> Array | None:
        """The other operand as one value a channel, or None when the node is not so simple."""
        if node.op_type not in (*_SCALING, *_SHIFTING) or list(node.input).count(source) != 1:
            return None
        position = list(node.input).index(source)
        value = self._graph.weights.get(node.input[1 - position])
        if value is None or value.dtype != np.float32 or value.ndim > rank:
            return None
        if position == 1 and node.op_type in ("Div", "Sub"):
            return None
        if value.size == 1:
            wide = np.full(channels, float(value.ravel()[0]))
        else:
            padded = (1,) * (rank - value.ndim) + value.shape
            if padded != (1, channels) + (1,) * (rank - 2):
                return None
            wide = value.ravel().astype(np.float64)
        divides = node.op_type == "Div" and not wide.all()
        return None if divides else wide

    def _rewrite(self, node: NodeProto, weight: Array, bias: Array, output: str) -> None:
        names = [self._constant(f"{output}.weight", weight), self._constant(f"{output}.bias", bias)]
        node.input[1:] = names
        node.output[0] = output

    def _constant(self, name: str, value: Array) -> str:
        free = free_name(name, self._taken)
        self._taken.add(free)
        self.constants[free] = value.astype(np.float32)
        return free
