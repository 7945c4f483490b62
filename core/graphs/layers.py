"""The layers that hold the arithmetic: their sizes and their multiply-accumulates (MACs)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, prod

from onnx import ModelProto, NodeProto

from ..types import Shape
from .graph import Graph, attributes

_POOLED = 7  # rows and columns that a global pooling takes at once


@dataclass(frozen=True)
class LayerShape:
    """One convolution or matrix product, by its sizes.

    ``op`` is conv, depthwise, grouped, convtranspose, gemm, matmul or pool. A gemm or matmul is
    a 1x1 layer with its rows along ``out_h``. ``adds`` tells that a residual Add follows, which the
    compiler makes part of the convolution, so that it reads a second tensor.
    """

    name: str
    op: str
    cin: int
    cout: int
    kernel_h: int = 1
    kernel_w: int = 1
    groups: int = 1
    in_h: int = 1
    in_w: int = 1
    out_h: int = 1
    out_w: int = 1
    adds: bool = False

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference (batch 1).

        >>> LayerShape("c", "conv", 64, 128, 3, 3, 1, 28, 28, 28, 28).macs
        57802752
        """
        pixels = self.in_h * self.in_w if self.op == "convtranspose" else self.out_h * self.out_w
        return pixels * self.kernel_h * self.kernel_w * self.cout * (self.cin // self.groups)


def macs_of(model: ModelProto) -> int:
    """Return the multiply-accumulates of one inference of a prepared model (batch 1)."""
    return sum(layer.macs for layer in layers_of(Graph(model)))


def layers_of(graph: Graph) -> list[LayerShape]:
    """Return the convolutions and matrix products of a prepared model, in graph order."""
    layers = [layer_of(graph, node) for node in graph.nodes]
    return [layer for layer in layers if layer is not None]


def layer_of(graph: Graph, node: NodeProto) -> LayerShape | None:
    """Return the sizes of a Conv or matrix product, None for another node or unknown shapes."""
    if node.op_type not in _READERS:
        return None
    names = (node.input[0], node.input[1], node.output[0])
    shapes = [shape for shape in map(graph.shapes.get, names) if shape]
    if len(shapes) < len(names):
        return None
    layer = _READERS[node.op_type](node, *shapes)
    return replace(layer, adds=node.op_type == "Conv" and residual_of(graph, node) is not None)


def pooling_of(graph: Graph, node: NodeProto) -> LayerShape | None:
    """Return a global average pooling as the compiler sees it: a depthwise one without weights.

    It is done in planes of up to 7x7 (rknn-toolkit2 2.5.0 on RK3588, RK3576 and RK3566); a larger
    one is brought down in several, of which this is the first. See next_pooling.
    """
    shape = graph.shapes.get(node.input[0]) if node.op_type == "GlobalAveragePool" else None
    return _pooling(node.name or node.output[0], shape[1], *_plane(shape)) if shape else None


def next_pooling(layer: LayerShape) -> LayerShape | None:
    """Return the pooling of what this one leaves; None for the last, and for other layers.

    >>> step = _pooling("p", 96, 80, 80)
    >>> while step:
    ...     print(step.kernel_h, step.in_h, step.out_h)
    ...     step = next_pooling(step)
    7 80 12
    7 12 2
    2 2 1
    """
    if layer.op != "pool" or layer.out_h * layer.out_w == 1:
        return None
    return _pooling(layer.name, layer.cin, layer.out_h, layer.out_w)


def _pooling(name: str, channels: int, h: int, w: int) -> LayerShape:
    kernel = min(h, _POOLED), min(w, _POOLED)
    out = ceil(h / _POOLED), ceil(w / _POOLED)
    return LayerShape(name, "pool", channels, channels, *kernel, channels, h, w, *out)


def residual_of(graph: Graph, node: NodeProto) -> tuple[str, str] | None:
    """Return the sum that alone reads a node's result, and the other summand, which comes before.

    None where there is none, or one of another shape.
    """
    readers = graph.consumers.get(node.output[0], [])
    if len(readers) != 1 or readers[0].op_type != "Add":
        return None
    add = readers[0]
    other = next((name for name in add.input if name != node.output[0]), "")
    before = graph.nodes[: graph.nodes.index(node)]
    computed = {name for earlier in before for name in earlier.output}
    same = graph.shapes.get(other) == graph.shapes.get(node.output[0])
    return (add.output[0], other) if other in computed and same else None


def _conv(node: NodeProto, x: Shape, weight: Shape, y: Shape) -> LayerShape:
    groups = attributes(node).get("group", 1)
    transposed = node.op_type == "ConvTranspose"
    op = "convtranspose" if transposed else _conv_kind(x[1], groups)
    planes = (*_plane(weight), groups, *_plane(x), *_plane(y))
    return LayerShape(node.name or node.output[0], op, x[1], y[1], *planes)


def _plane(shape: Shape) -> tuple[int, int]:
    """Height and width; a one-dimensional layer has width 1, depth counts as height."""
    return (shape[2], 1) if len(shape) == 3 else (prod(shape[2:-1]), shape[-1])


def _conv_kind(cin: int, groups: int) -> str:
    if groups == 1:
        return "conv"
    return "depthwise" if groups == cin else "grouped"


def _gemm(node: NodeProto, x: Shape, weight: Shape, y: Shape) -> LayerShape:
    settings = attributes(node)
    cin = x[0] if settings.get("transA") else x[1]
    return LayerShape(node.name or node.output[0], "gemm", cin, y[-1], in_h=y[0], out_h=y[0])


def _matmul(node: NodeProto, x: Shape, weight: Shape, y: Shape) -> LayerShape:
    rows = prod(y[:-1])
    return LayerShape(node.name or node.output[0], "matmul", x[-1], y[-1], in_h=rows, out_h=rows)


_READERS = {"Conv": _conv, "ConvTranspose": _conv, "Gemm": _gemm, "MatMul": _matmul}
