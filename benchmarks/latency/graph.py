"""A few lines of ONNX at a time: networks written as functions, with random weights.

The latency of a network does not depend on the values of its weights, so none are needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 12
FLOAT16 = "float16"  # in the model's metadata: the tensors that stay so when the rest is quantized
_LEAK = 0.1


@dataclass(frozen=True)
class Tensor:
    """A value in the graph: its name and its shape."""

    name: str
    shape: tuple[int, ...]

    @property
    def channels(self) -> int:
        """Return the channels of a layer that the full model gives ``nominal``, in steps of 8."""
        return self.shape[1]


class Graph:
    """Collects nodes and weights; every method adds an operator and returns its output."""

    def __init__(self, seed: int = 0) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._float16: list[str] = []
        self._keeps_float = False
        self._random = np.random.default_rng(seed)
        self._count = 0

    def input(self, *shape: int, name: str = "images", dtype: int = TensorProto.FLOAT) -> Tensor:
        """Add an input of the network."""
        self._inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return Tensor(name, shape)

    def finish(self, *outputs: Tensor) -> onnx.ModelProto:
        """Return the model with these outputs; shapes are checked against ONNX's own inference."""
        infos = [helper.make_tensor_value_info(o.name, TensorProto.FLOAT, o.shape) for o in outputs]
        graph = helper.make_graph(self._nodes, "network", self._inputs, infos, self._weights)
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=8)
        if self._float16:
            helper.set_model_props(model, {FLOAT16: " ".join(self._float16)})
        onnx.checker.check_model(model)
        return onnx.shape_inference.infer_shapes(model, strict_mode=True)

    @contextmanager
    def kept_in_float16(self) -> Iterator[None]:
        """Mark what is added inside: it stays in float16 when the rest is quantized."""
        self._keeps_float = True
        yield
        self._keeps_float = False

    def op(
        self, kind: str, inputs: Sequence[Tensor], shape: Sequence[int], **attributes: Any
    ) -> Tensor:
        """Add any operator with one output, of the shape given."""
        name = self._name(kind)
        names = [tensor.name for tensor in inputs]
        self._add(helper.make_node(kind, names, [name], name=name, **attributes))
        return Tensor(name, tuple(shape))

    def constant(self, values: NDArray[np.generic]) -> Tensor:
        """Add a tensor of fixed values."""
        name = self._name("constant")
        self._weights.append(numpy_helper.from_array(values, name))
        return Tensor(name, values.shape)

    def weight(self, *shape: int, fan_in: int = 0) -> Tensor:
        """Add random values that neither grow nor shrink what they are multiplied with."""
        scale = (2.0 / max(fan_in, 1)) ** 0.5 if fan_in else 0.05
        values = self._random.standard_normal(shape, dtype=np.float32) * np.float32(scale)
        return self.constant(values)

    def conv(
        self,
        x: Tensor,
        cout: int,
        kernel: int | tuple[int, int] = 1,
        stride: int | tuple[int, int] = 1,
        act: str = "",
        *,
        groups: int = 1,
        dilation: int = 1,
        pads: Sequence[int] | None = None,
    ) -> Tensor:
        """Add a convolution with bias (batch normalization is folded into it) and an activation.

        Padding keeps the size at stride 1 unless ``pads`` (top, left, bottom, right) says other.
        """
        kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
        sh, sw = (stride, stride) if isinstance(stride, int) else stride
        around = (dilation * (kh - 1) // 2, dilation * (kw - 1) // 2)
        top, left, bottom, right = pads if pads is not None else around * 2
        cin = x.channels // groups
        weights = self.weight(cout, cin, kh, kw, fan_in=cin * kh * kw), self.weight(cout)
        high = (x.shape[2] + top + bottom - dilation * (kh - 1) - 1) // sh + 1
        wide = (x.shape[3] + left + right - dilation * (kw - 1) - 1) // sw + 1
        out = self.op(
            "Conv",
            (x, *weights),
            (x.shape[0], cout, high, wide),
            kernel_shape=[kh, kw],
            strides=[sh, sw],
            pads=[top, left, bottom, right],
            dilations=[dilation, dilation],
            group=groups,
        )
        return self.act(out, act)

    def depthwise(self, x: Tensor, kernel: int = 3, stride: int = 1, act: str = "") -> Tensor:
        """Add a convolution of every channel by itself."""
        return self.conv(x, x.channels, kernel, stride, act, groups=x.channels)

    def deconv(self, x: Tensor, cout: int) -> Tensor:
        """Add a transposed convolution that doubles height and width."""
        weights = self.weight(x.channels, cout, 2, 2, fan_in=x.channels), self.weight(cout)
        shape = (x.shape[0], cout, 2 * x.shape[2], 2 * x.shape[3])
        return self.op("ConvTranspose", (x, *weights), shape, kernel_shape=[2, 2], strides=[2, 2])

    def act(self, x: Tensor, kind: str) -> Tensor:
        """Add an activation as exporters write it: silu, relu, relu6, leaky, sigmoid and so on."""
        if kind == "":
            return x
        if kind == "silu":
            return self.mul(x, self.op("Sigmoid", (x,), x.shape))
        if kind == "relu6":
            return self.clip(x, 0.0, 6.0)
        if kind == "leaky":
            return self.op("LeakyRelu", (x,), x.shape, alpha=_LEAK)
        if kind == "hardsigmoid":
            return self.op("HardSigmoid", (x,), x.shape, alpha=1 / 6, beta=0.5)
        if kind == "gelu":
            return self._gelu(x)
        return self.op({"relu": "Relu", "sigmoid": "Sigmoid"}[kind], (x,), x.shape)

    def _gelu(self, x: Tensor) -> Tensor:
        root, unit, half = (self._scalar(value) for value in (2**0.5, 1.0, 0.5))
        inner = self.op("Erf", (self.op("Div", (x, root), x.shape),), x.shape)
        return self.mul(self.mul(x, self.add(inner, unit)), half)

    def clip(self, x: Tensor, low: float, high: float) -> Tensor:
        """Add limits, as inputs of the operator."""
        return self.op("Clip", (x, self._scalar(low), self._scalar(high)), x.shape)

    def affine(self, x: Tensor) -> Tensor:
        """Add a batch normalization that stands alone."""
        ones, small = np.ones(x.channels, np.float32), np.full(x.channels, 0.1, np.float32)
        inputs = (
            x,
            self.constant(ones),
            self.constant(small),
            self.constant(small),
            self.constant(ones),
        )
        return self.op("BatchNormalization", inputs, x.shape, epsilon=1e-5)

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        """Add the sum, broadcast."""
        return self.op("Add", (a, b), np.broadcast_shapes(a.shape, b.shape))

    def mul(self, a: Tensor, b: Tensor) -> Tensor:
        """Add the product, broadcast."""
        return self.op("Mul", (a, b), np.broadcast_shapes(a.shape, b.shape))

    def scale(self, x: Tensor, factor: float) -> Tensor:
        """Add a product with a number."""
        return self.mul(x, self._scalar(factor))

    def cat(self, parts: Sequence[Tensor], axis: int = 1) -> Tensor:
        """Join tensors along an axis."""
        shape = list(parts[0].shape)
        shape[axis] = sum(part.shape[axis] for part in parts)
        return self.op("Concat", parts, shape, axis=axis)

    def split(self, x: Tensor, sizes: Sequence[int], axis: int = 1) -> list[Tensor]:
        """Split a tensor along an axis."""
        name = self._name("Split")
        names = [f"{name}_{index}" for index in range(len(sizes))]
        node = helper.make_node("Split", [x.name], names, name=name, axis=axis, split=list(sizes))
        self._add(node)
        shapes = [[*x.shape[:axis], size, *x.shape[axis + 1 :]] for size in sizes]
        return [Tensor(name, tuple(shape)) for name, shape in zip(names, shapes, strict=True)]

    def pool(
        self, x: Tensor, kernel: int, stride: int = 1, *, pad: int | None = None, kind: str = "Max"
    ) -> Tensor:
        """Add max or average pooling; padding keeps the size at stride 1 unless it is given."""
        pad = (kernel - 1) // 2 if pad is None else pad
        high, wide = ((size + 2 * pad - kernel) // stride + 1 for size in x.shape[2:])
        return self.op(
            f"{kind}Pool",
            (x,),
            (*x.shape[:2], high, wide),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[pad] * 4,
        )

    def global_pool(self, x: Tensor) -> Tensor:
        """Add the mean over height and width."""
        return self.op("GlobalAveragePool", (x,), (*x.shape[:2], 1, 1))

    def up(self, x: Tensor, factor: int = 2, mode: str = "nearest") -> Tensor:
        """Multiply height and width by a factor, as exporters of PyTorch write it."""
        factors = self.constant(np.array([1, 1, factor, factor], np.float32))
        region = self.constant(np.zeros(0, np.float32))
        nearest = mode == "nearest"
        return self.op(
            "Resize",
            (x, region, factors),
            (*x.shape[:2], factor * x.shape[2], factor * x.shape[3]),
            mode=mode,
            nearest_mode="floor",
            coordinate_transformation_mode="asymmetric" if nearest else "pytorch_half_pixel",
        )

    def reshape(self, x: Tensor, *shape: int) -> Tensor:
        """Add a reshape; one size may be -1."""
        fixed = prod(size for size in shape if size >= 0)
        full = tuple(prod(x.shape) // fixed if size < 0 else size for size in shape)
        return self.op("Reshape", (x, self.constant(np.array(full, np.int64))), full)

    def transpose(self, x: Tensor, *order: int) -> Tensor:
        """Add a permutation of the axes."""
        return self.op("Transpose", (x,), [x.shape[axis] for axis in order], perm=list(order))

    def matmul(self, a: Tensor, b: Tensor) -> Tensor:
        """Add a product of matrices in the last two axes."""
        outer = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        return self.op("MatMul", (a, b), (*outer, a.shape[-2], b.shape[-1]))

    def linear(self, x: Tensor, cout: int, act: str = "") -> Tensor:
        """Add a dense layer over the last axis."""
        cin = x.shape[-1]
        product = self.matmul(x, self.weight(cin, cout, fan_in=cin))
        return self.act(self.add(product, self.weight(cout)), act)

    def gemm(self, x: Tensor, cout: int) -> Tensor:
        """Add a classifier's dense layer on (1, features)."""
        weights = self.weight(cout, x.channels, fan_in=x.channels), self.weight(cout)
        return self.op("Gemm", (x, *weights), (x.shape[0], cout), transB=1)

    def softmax(self, x: Tensor, axis: int = -1) -> Tensor:
        """Add a softmax over one axis, which must be the last (opset 12)."""
        return self.op("Softmax", (x,), x.shape, axis=axis % len(x.shape))

    def reduce(self, kind: str, x: Tensor, axes: Sequence[int], keep: bool = True) -> Tensor:
        """Add ReduceSum, ReduceMean and the like."""
        gone = {axis % len(x.shape) for axis in axes}
        sizes = [
            (1 if i in gone else size) for i, size in enumerate(x.shape) if keep or i not in gone
        ]
        return self.op(kind, (x,), sizes, axes=list(axes), keepdims=int(keep))

    def layer_norm(self, x: Tensor) -> Tensor:
        """Add layer normalization over the last axis, as exporters write it before opset 17."""
        centred = self.op("Sub", (x, self.reduce("ReduceMean", x, [-1])), x.shape)
        square = self.op("Pow", (centred, self._scalar(2.0)), x.shape)
        variance = self.reduce("ReduceMean", square, [-1])
        root = self.op("Sqrt", (self.add(variance, self._scalar(1e-5)),), variance.shape)
        normal = self.op("Div", (centred, root), x.shape)
        return self.add(self.mul(normal, self.weight(x.shape[-1])), self.weight(x.shape[-1]))

    def _add(self, node: onnx.NodeProto) -> None:
        self._nodes.append(node)
        self._float16 += node.output if self._keeps_float else ()

    def _scalar(self, value: float) -> Tensor:
        return self.constant(np.array(value, np.float32))

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"
