"""A quantized model as it is trained: its weights as float initializers, and back.

Two forms are read: QDQ, where weights and biases are integers behind a DequantizeLinear, and a
float model whose weights sit on a grid of few steps, as in w4a16.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, numpy_helper

from ...core.graphs.graph import Graph, drop_unread, replace_nodes
from ...core.training.torch_graph import trainable, with_weights
from ...core.types import Array, Float32
from ..graph_parts.weighted_layers import WeightedLayer
from ..numeric.scales import WEIGHT_LIMIT, along, quantize_bias
from ..rendering.qdq import computing_nodes

_DEQUANTIZE = "DequantizeLinear"


@dataclass(frozen=True, eq=False)
class Grid:
    """A weight in integer ``steps`` of at most ``limit``, with one scale a channel along ``axis``.

    ``exact`` is the weight that was rounded, in the same steps. Where the grid ``is_found`` again
    by its largest steps, every channel has to keep one at the limit.
    """

    steps: NDArray[np.int8]
    scales: Float32
    exact: Float32
    axis: int
    limit: int
    is_found: bool

    @property
    def movable(self) -> NDArray[np.bool_]:
        """Return which weights may take another step, a mask like them."""
        moves = np.ones(self.steps.shape, bool)
        if self.is_found:
            channels = np.moveaxis(np.abs(self.steps), self.axis, 0)
            first = channels.reshape(len(channels), -1).argmax(axis=1)
            for channel, at in enumerate(first):
                np.moveaxis(moves, self.axis, 0)[channel].flat[at] = False
        return moves

    def values(self, steps: Array, scales: Array) -> Float32:
        """Return the weight that these stand for."""
        return np.asarray(steps * along(scales, self.axis, steps.ndim), np.float32)


class QuantizedStudent:
    """A quantized form of a float ``model``, ``bits`` a weight, with float weights to be trained.

    ``model`` is what is run: the same function, each weight and bias a float initializer. Those in
    ``grids`` are rounded while they are trained, those in ``plain`` are not.
    """

    def __init__(
        self, model: ModelProto, quantized: ModelProto, layers: Iterable[WeightedLayer], bits: int
    ) -> None:
        self._quantized, graph = quantized, Graph(quantized)
        self._stored = {
            node.output[0]: node
            for node in graph.nodes
            if node.op_type == _DEQUANTIZE and node.input[0] in graph.weights
        }
        self.model = _with_plain_weights(graph, self._stored.values())
        self.grids: dict[str, Grid] = {}
        self._biases: dict[str, tuple[str, float]] = {}  # -> its weight, the scale of the input
        for layer, node in _pairs(model, quantized, layers):
            grid = _grid(graph, self._stored.get(node.input[1]), node, layer, bits)
            if grid is None:
                continue
            self.grids[node.input[1]] = grid
            if len(node.input) > 2 and node.input[2] in self._stored:
                source = graph.producers[node.input[0]]
                scale = float(graph.weights[source.input[1]])
                self._biases[node.input[2]] = node.input[1], scale
        values = Graph(self.model)
        fixed = {*self.grids, *(self._stored.keys() - self._biases.keys())}
        self.plain = {name: values.weights[name] for name in trainable(values) if name not in fixed}

    def rendered(
        self,
        steps: Mapping[str, NDArray[np.int8]],
        scales: Mapping[str, Float32],
        plain: Mapping[str, Float32],
    ) -> ModelProto:
        """Return the quantized model with other steps and scales of its grids, and plain values."""
        values: dict[str, Array] = {}
        for name, grid in self.grids.items():
            if name in self._stored:
                values.update(self._as_stored(name, steps[name], scales[name]))
            else:
                values[name] = grid.values(steps[name], scales[name])
        for name, value in plain.items():
            if name not in self._biases:
                values[name] = value
                continue
            weight, source = self._biases[name]
            unit = (np.float64(source) * scales[weight]).astype(np.float32)
            integers = quantize_bias(value, source, scales[weight])
            values.update(self._as_stored(name, integers, unit))
        return with_weights(self._quantized, values)

    def _as_stored(self, name: str, steps: Array, scales: Array) -> dict[str, Array]:
        """Return these by the names of what a DequantizeLinear reads."""
        return dict(zip(self._stored[name].input[:2], (steps, scales), strict=True))


def _with_plain_weights(graph: Graph, stored: Iterable[NodeProto]) -> ModelProto:
    """Return the model with the results of these nodes, DequantizeLinear of constants, instead."""
    model = ModelProto()
    model.CopyFrom(graph.model)
    for node in stored:
        steps, scales, zero_point = (graph.weights[name] for name in node.input)
        axis = next((entry.i for entry in node.attribute if entry.name == "axis"), 1)
        shape = scales if scales.ndim == 0 else along(scales, axis, steps.ndim)
        offset = zero_point if scales.ndim == 0 else along(zero_point, axis, steps.ndim)
        value = ((steps.astype(np.float64) - offset) * shape).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
    names = {node.output[0] for node in stored}
    replace_nodes(model.graph, [n for n in model.graph.node if n.output[0] not in names])
    drop_unread(model)
    return model


def _pairs(
    model: ModelProto, quantized: ModelProto, layers: Iterable[WeightedLayer]
) -> Iterator[tuple[WeightedLayer, NodeProto]]:
    """Yield each layer with its node in the quantized model."""
    nodes = {node.output[0]: other for node, other in computing_nodes(model, quantized)}
    for layer in layers:
        yield layer, nodes[layer.name]


def _grid(
    graph: Graph, stored: NodeProto | None, node: NodeProto, layer: WeightedLayer, bits: int
) -> Grid | None:
    """Return the grid of a layer's weight, None where that is not rounded."""
    if stored is not None:
        steps, scales = (graph.weights[name] for name in stored.input[:2])
        return _on_grid(steps, scales, layer, WEIGHT_LIMIT, is_found=False)
    if bits >= 8:
        return None
    limit, weight = 2 ** (bits - 1) - 1, graph.weights[node.input[1]]
    others = tuple(axis for axis in range(weight.ndim) if axis != layer.axis)
    scales = np.maximum(np.abs(weight).max(axis=others) / limit, 1e-12)
    steps = np.rint(weight / along(scales, layer.axis, weight.ndim)).astype(np.int8)
    return _on_grid(steps, scales, layer, limit, is_found=True)


def _on_grid(
    steps: NDArray[np.int8], scales: Float32, layer: WeightedLayer, limit: int, *, is_found: bool
) -> Grid:
    exact = np.asarray(layer.weight / along(scales, layer.axis, steps.ndim), np.float32)
    return Grid(steps, scales.astype(np.float32), exact, layer.axis, limit, is_found)
