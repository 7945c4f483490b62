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
    axis. ``taps`` is the number of weights per input and output channel (kernel height x width).
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
    if settings.get("group", 1) != 1 or not 2 <= len(shape) <= 4:
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
    if node.op_type in ("Gemm", "MatMul"):
        return np.asarray(x.reshape(-1, x.shape[-1])[at])
    if node.op_type == "ConvTranspose":
        return np.ascontiguousarray(x[0].reshape(x.shape[1], -1)[:, at].T)
    settings = attributes(node)
    image, kernel = _image(x), _kernel(weight)
    stride, dilation = _pair(settings.get("strides")), _pair(settings.get("dilations"))
    before, after = _pads(settings, image.shape[1:], kernel, stride, dilation)
    height, width = image.shape[1:]
    reach = dilation[1] * (kernel[1] - 1) + 1
    across = (width + before[1] + after[1] - reach) // stride[1] + 1
    top, left = at // across * stride[0] - before[0], at % across * stride[1] - before[1]
    rows = top[:, None, None] + dilation[0] * np.arange(kernel[0])[:, None]
    columns = left[:, None, None] + dilation[1] * np.arange(kernel[1])
    # gathered where they lie: a padded copy of the whole image would take longer than the rest
    fields = image[:, rows.clip(0, height - 1), columns.clip(0, width - 1)]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    if not inside.all():
        fields = fields * inside
    return np.ascontiguousarray(fields.transpose(1, 0, 2, 3).reshape(at.size, -1))


def responses(layer: DenseLayer, y: Array, weight: Array, at: Array) -> Float64:
    """Return outputs (positions, rows of the matrix) of a result (1, C, ...) at flat positions."""
    if layer.node.op_type in ("Gemm", "MatMul"):
        return np.asarray(y.reshape(-1, y.shape[-1])[at], dtype=np.float64)
    if layer.node.op_type == "ConvTranspose":
        return np.asarray(_tiles_of(_image(y), _kernel(weight))[at], dtype=np.float64)
    return np.asarray(y[0].reshape(y.shape[1], -1).take(at, axis=1).T, dtype=np.float64)


def position_count(layer: DenseLayer, x: Array, y: Array) -> int:
    """Return the number of positions at which the layer's matrix is applied."""
    if layer.node.op_type in ("Gemm", "MatMul"):
        return prod(y.shape[:-1])
    return prod((x if layer.node.op_type == "ConvTranspose" else y).shape[2:])


def _image(x: Array) -> Array:
    """(1, C, H, W) or (1, C, W) -> (C, H, W)."""
    return np.asarray(x[0] if x.ndim == 4 else x[0][:, None, :])


def _kernel(weight: Array) -> Shape:
    return weight.shape[2:] if weight.ndim == 4 else (1, *weight.shape[2:])


def _tiles_of(y: Array, kernel: Shape) -> Array:
    """(C, H*kh, W*kw) -> (H*W, C*kh*kw)."""
    kh, kw = kernel
    channels, height, width = y.shape
    grid = y.reshape(channels, height // kh, kh, width // kw, kw)
    return grid.transpose(1, 3, 0, 2, 4).reshape(-1, channels * kh * kw)


def _pair(values: list[int] | None) -> tuple[int, int]:
    """Return the numbers along height and width, of which the first or both may be left out."""
    height, width = ([1, 1] + (values or []))[-2:]
    return height, width


def _pads(
    settings: dict[str, list[int]],
    size: Shape,
    kernel: Shape,
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[list[int], list[int]]:
    """Rows and columns of zeros before and after, as ONNX defines pads and auto_pad."""
    pads = settings.get("pads")
    mode = str(settings.get("auto_pad", "NOTSET"))
    if mode.startswith("SAME"):
        ends = [(ceil(size[i] / stride[i]) - 1) * stride[i] - size[i] for i in (0, 1)]
        total = [max(ends[i] + dilation[i] * (kernel[i] - 1) + 1, 0) for i in (0, 1)]
        half = [t // 2 for t in total]
        rest = [t - h for t, h in zip(total, half, strict=True)]
        return (half, rest) if mode == "SAME_UPPER" else (rest, half)
    if not pads:
        return [0, 0], [0, 0]
    if len(pads) == 2:
        return [0, pads[0]], [0, pads[1]]
    return pads[:2], pads[2:]
