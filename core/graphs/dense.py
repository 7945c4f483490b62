"""Layers that mix channels, seen as a matrix product: outputs = matrix @ patch + bias.

A convolution is one such product for every output position; its patch is the receptive field.
Pruning needs the statistics of the patches, and refits the matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

import numpy as np
from onnx import ModelProto, NodeProto, numpy_helper

from ..types import Array, Float64, Shape
from .graph import Graph, attributes, free_name, output_axis, set_attribute

_DENSE = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True)
class DenseLayer:
    """A Conv, Gemm, MatMul or non-overlapping ConvTranspose with a constant weight.

    ``x`` and ``y`` name its input and output tensors, ``in_axis`` is the weight's input-channel
    axis. ``taps`` is the number of weights per input and output channel: the product of the sizes
    of the kernel.
    """

    node: NodeProto
    x: str
    y: str
    weight: str
    bias: str
    in_axis: int

    def matrix(self, weight: Array) -> Float64:
        """Reshape a weight to (outputs, inputs * taps); a ConvTranspose has taps among outputs."""
        if self.node.op_type == "ConvTranspose":
            return weight.reshape(weight.shape[0], -1).T.astype(np.float64)
        if self.in_axis == 0:
            weight = weight.T
        return weight.reshape(weight.shape[0], -1).astype(np.float64)

    def weight_like(self, matrix: Float64, like: Array) -> Array:
        """Return the weight of the shape of ``like`` for a matrix: the inverse of ``matrix``."""
        if self.node.op_type == "ConvTranspose" or (self.in_axis == 0 and like.ndim == 2):
            return np.ascontiguousarray(matrix.T.reshape(like.shape), dtype=like.dtype)
        return np.ascontiguousarray(matrix.reshape(like.shape), dtype=like.dtype)

    def columns(self, channels: Array, weight: Array) -> Array:
        """Return the mask over the columns of the matrix for a mask over input channels."""
        per_channel = self.matrix(weight).shape[1] // channels.size
        return np.repeat(channels, per_channel)


def dense_layers(graph: Graph) -> list[DenseLayer]:
    """Return the layers whose matrix can be refitted, in graph order, but those that share one."""
    return [users[0] for users in tied_layers(graph) if len(users) == 1]


def tied_layers(graph: Graph) -> list[list[DenseLayer]]:
    """Return the layers whose matrix can be refitted, in graph order, those of one weight together.

    A weight that is read in more than one way is left out.
    """
    layers_of: dict[str, list[DenseLayer]] = {}
    for node in graph.nodes:
        if (layer := _dense(graph, node)) is not None:
            layers_of.setdefault(layer.weight, []).append(layer)
    return [
        users
        for weight, users in layers_of.items()
        if len(users) == len(graph.consumers[weight])
        and len({(layer.node.op_type, layer.in_axis, bool(layer.bias)) for layer in users}) == 1
    ]


def _dense(graph: Graph, node: NodeProto) -> DenseLayer | None:
    if node.op_type not in _DENSE or not graph.is_weight(node.input[1]):
        return None
    settings = attributes(node)
    shape = graph.shapes[node.input[1]]
    bias = node.input[2] if len(node.input) > 2 else ""
    if settings.get("group", 1) != 1 or len(shape) < 2:
        return None
    if node.op_type == "ConvTranspose" and not _tiles(settings, shape[2:]):
        return None
    if node.op_type == "Gemm" and (settings.get("transA") or settings.get("alpha", 1.0) != 1.0):
        return None
    if node.op_type == "MatMul" and len(shape) != 2:
        return None
    if bias and not _is_own(graph, node, bias):
        return None
    in_axis = 1 - output_axis(node)
    return DenseLayer(node, node.input[0], node.output[0], node.input[1], bias, in_axis)


def _is_own(graph: Graph, node: NodeProto, bias: str) -> bool:
    """Whether a bias is one constant an output that no other node reads, so that it may change."""
    size = graph.shapes[node.input[1]][output_axis(node)]
    only = len(graph.consumers[bias]) == 1 and attributes(node).get("beta", 1.0) == 1.0
    return only and graph.is_weight(bias) and graph.shapes[bias] == (size,)


def _tiles(settings: dict[str, list[int]], kernel: Shape) -> bool:
    """A transposed convolution whose outputs do not overlap is a plain matrix product."""
    no_pads = not any(settings.get("pads", [])) and not any(settings.get("output_padding", []))
    plain = "output_shape" not in settings and set(settings.get("dilations", [])) <= {1}
    return tuple(settings.get("strides", [1] * len(kernel))) == kernel and no_pads and plain


def with_biases(model: ModelProto) -> ModelProto:
    """Return a copy in which every Conv, ConvTranspose and Gemm has a bias (zeros at first).

    A constant bias that several nodes share, or that is broadcast, becomes one of the node's own.
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    graph = Graph(model)
    for node in copy.graph.node:
        bias = _own_bias(graph, node)
        if bias is None:
            continue
        tensor = numpy_helper.from_array(bias, free_name(f"{node.output[0]}.bias", graph.names))
        copy.graph.initializer.append(tensor)
        graph.names.add(tensor.name)
        del node.input[2:]
        node.input.append(tensor.name)
        if node.op_type == "Gemm":
            set_attribute(node, "beta", 1.0)
    return copy


def _own_bias(graph: Graph, node: NodeProto) -> Array | None:
    """The bias that a node should get, or None when it can keep what it has."""
    if node.op_type not in _DENSE or node.op_type == "MatMul" or not graph.is_weight(node.input[1]):
        return None
    settings = attributes(node)
    weight = graph.weights[node.input[1]]
    dense = settings.get("group", 1) if node.op_type == "ConvTranspose" else 1
    size = weight.shape[1] * dense if dense > 1 else weight.shape[output_axis(node)]
    name = node.input[2] if len(node.input) > 2 else ""
    if not name:
        return np.zeros(size, weight.dtype)
    value = graph.weights.get(name)
    if value is None or (value.size != 1 and (value.size != size or value.shape[-1] != size)):
        return None  # computed, or another one for each row
    if value.shape == (size,) and len(graph.consumers[name]) == 1 and settings.get("beta", 1) == 1:
        return None
    scaled = value.reshape(-1) * np.asarray(settings.get("beta", 1.0), value.dtype)
    return np.ascontiguousarray(np.broadcast_to(scaled, (size,)))


def patches(node: NodeProto, x: Array, weight: Array, at: Array) -> Array:
    """Return receptive fields (positions, inputs * taps) of an input (1, C, ...) at flat positions.

    Of the type of ``x``. A grouped convolution has the fields of all its groups side by side.
    """
    return np.ascontiguousarray(receptive_fields(node, x, weight, at).reshape(-1, at.size).T)


def receptive_fields(node: NodeProto, x: Array, weight: Array, at: Array) -> Array:
    """Return what ``patches`` does as (inputs, taps, positions): as the values lie in the input."""
    if node.op_type in ("Gemm", "MatMul"):
        return np.asarray(x.reshape(-1, x.shape[-1])[at].T[:, None])
    flat = x[0].reshape(x.shape[1], -1)
    if node.op_type == "ConvTranspose":
        return np.asarray(flat[:, None, at])
    kernel = weight.shape[2:]
    axes = _axes(attributes(node), x.shape[2:], kernel)
    positions = np.unravel_index(at, [axis.count for axis in axes])
    # gathered where they lie: a padded copy of the whole image would take longer than the rest
    places, inside = np.zeros((), np.intp), np.ones((), bool)
    for number, (axis, position) in enumerate(zip(axes, positions, strict=True)):
        along = [-1 if other == number else 1 for other in range(len(axes))]
        taps = axis.dilation * np.arange(axis.kernel).reshape(*along, 1)
        place = position * axis.stride - axis.before + taps
        inside = inside & (place >= 0) & (place < axis.size)
        places = places * axis.size + place.clip(0, axis.size - 1)
    fields: Array = flat.take(places.reshape(prod(kernel), at.size), axis=1)
    if not inside.all():
        fields *= inside.reshape(fields.shape[1:])
    return fields


def responses(layer: DenseLayer, y: Array, weight: Array, at: Array) -> Float64:
    """Return outputs (positions, rows of the matrix) of a result (1, C, ...) at flat positions."""
    if layer.node.op_type in ("Gemm", "MatMul"):
        return np.asarray(y.reshape(-1, y.shape[-1])[at], dtype=np.float64)
    if layer.node.op_type == "ConvTranspose":
        return np.asarray(_tiles_of(y[0], weight.shape[2:])[at], dtype=np.float64)
    return np.asarray(y[0].reshape(y.shape[1], -1).take(at, axis=1).T, dtype=np.float64)


def position_count(layer: DenseLayer, x: Array, y: Array) -> int:
    """Return the number of positions at which the layer's matrix is applied."""
    if layer.node.op_type in ("Gemm", "MatMul"):
        return prod(y.shape[:-1])
    return prod((x if layer.node.op_type == "ConvTranspose" else y).shape[2:])


def _tiles_of(y: Array, kernel: Shape) -> Array:
    """(C, H*kh, W*kw) -> (H*W, C*kh*kw), of any number of axes."""
    split = [
        part for size, tap in zip(y.shape[1:], kernel, strict=True) for part in (size // tap, tap)
    ]
    grid = y.reshape(len(y), *split)
    places, taps = range(1, grid.ndim, 2), range(2, grid.ndim, 2)
    count = prod(grid.shape[place] for place in places)
    return grid.transpose(*places, 0, *taps).reshape(count, -1)


@dataclass(frozen=True)
class _Axis:
    """A convolution along one axis, ``before`` being the zeros that it begins with."""

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    count: int


def _axes(settings: dict[str, list[int]], sizes: Shape, kernel: Shape) -> list[_Axis]:
    ones = [1] * len(kernel)
    strides, dilations = settings.get("strides") or ones, settings.get("dilations") or ones
    pads = settings.get("pads") or [0] * (2 * len(kernel))
    mode = str(settings.get("auto_pad", "NOTSET"))
    axes = []
    for number, (size, taps) in enumerate(zip(sizes, kernel, strict=True)):
        stride, dilation = strides[number], dilations[number]
        reach = dilation * (taps - 1) + 1
        before, after = pads[number], pads[len(kernel) + number]
        if mode.startswith("SAME"):
            total = max((ceil(size / stride) - 1) * stride - size + reach, 0)
            half = total // 2
            before, after = (half, total - half) if mode == "SAME_UPPER" else (total - half, half)
        count = (size + before + after - reach) // stride + 1
        axes.append(_Axis(size, taps, stride, dilation, before, count))
    return axes
