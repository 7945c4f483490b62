"""All ONNX operators that can be trained through: those of deployed networks.

An operator is a function of the module torch, the node's attributes (with ``outputs``, their
number) and the inputs; see torch_layers.py. A recurrent layer or a branch is not among them.
"""

from __future__ import annotations

from functools import reduce

from onnx import helper

from .torch_layers import LAYERS, Attrs, Operator, Tensor, Torch
from .torch_shape_ops import SHAPE_OPERATORS


def _clip(torch: Torch, attrs: Attrs, x: Tensor, low: Tensor = None, high: Tensor = None) -> Tensor:
    least, most = (
        attrs.get(name) if bound is None else bound.item()
        for name, bound in (("min", low), ("max", high))
    )
    if least is None and most is None:
        return x
    if least is None or most is None or least >= most or not x.is_floating_point():
        return x.clamp(least, most)
    # its gradient takes one pass over the tensor, that of a clamp four
    return torch.nn.functional.hardtanh(x, least, most)


def _hard_sigmoid(torch: Torch, attrs: Attrs, x: Tensor) -> Tensor:
    return (attrs.get("alpha", 0.2) * x + attrs.get("beta", 0.5)).clamp(0, 1)


def _leaky_relu(torch: Torch, attrs: Attrs, x: Tensor) -> Tensor:
    return torch.nn.functional.leaky_relu(x, attrs.get("alpha", 0.01))


def _elu(torch: Torch, attrs: Attrs, x: Tensor) -> Tensor:
    return torch.nn.functional.elu(x, attrs.get("alpha", 1.0))


def _gelu(torch: Torch, attrs: Attrs, x: Tensor) -> Tensor:
    return torch.nn.functional.gelu(x, approximate=attrs.get("approximate", "none"))


def _div(torch: Torch, attrs: Attrs, a: Tensor, b: Tensor) -> Tensor:
    return a / b if a.is_floating_point() else a.div(b, rounding_mode="trunc")


def _cast(torch: Torch, attrs: Attrs, x: Tensor, like: Tensor = None) -> Tensor:
    return x.to(getattr(torch, helper.tensor_dtype_to_np_dtype(attrs["to"]).name))


def rounded(x: Tensor, low: float, high: float) -> Tensor:
    """Return the nearest integers in [low, high]; where they are inside, the gradient passes.

    The straight-through estimator: Y. Bengio, N. Leonard and A. Courville, "Estimating or
    propagating gradients through stochastic neurons" (2013, arXiv 1308.3432).
    """
    return (x + (x.round() - x).detach()).clamp(low, high)


def _quantize(torch: Torch, attrs: Attrs, x: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
    kind = torch.iinfo(zero_point.dtype)
    return rounded(x / scale + zero_point, kind.min, kind.max)


def _dequantize(torch: Torch, attrs: Attrs, x: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
    if scale.ndim:
        shape = [1] * x.ndim
        shape[attrs.get("axis", 1)] = -1
        scale, zero_point = scale.reshape(shape), zero_point.reshape(shape)
    return (x.float() - zero_point) * scale


def _pairwise(name: str) -> Operator:
    """Return an operator of two or more inputs, made from the torch function of two."""

    def fold(torch: Torch, attrs: Attrs, *inputs: Tensor) -> Tensor:
        return reduce(getattr(torch, name), inputs)

    return fold


def _reduced(name: str) -> Operator:
    def over(torch: Torch, attrs: Attrs, x: Tensor, axes: Tensor = None) -> Tensor:
        chosen = attrs.get("axes") if axes is None else axes.tolist()
        if not chosen:
            if attrs.get("noop_with_empty_axes"):
                return x
            chosen = range(x.ndim)
        return getattr(torch, name)(x, tuple(chosen), keepdim=bool(attrs.get("keepdims", 1)))

    return over


def _length(torch: Torch, attrs: Attrs, x: Tensor, axes: Tensor = None) -> Tensor:
    return SUM(torch, attrs, x.square(), axes).sqrt()


def _unary(name: str) -> Operator:
    return lambda torch, attrs, x: getattr(torch, name)(x)


def _activation(name: str) -> Operator:
    return lambda torch, attrs, x: getattr(torch.nn.functional, name)(x)


SUM = _reduced("sum")

OPERATORS: dict[str, Operator] = {
    **LAYERS,
    **SHAPE_OPERATORS,
    **{
        name: _unary(name.lower())
        for name in "Relu Sigmoid Tanh Exp Log Sqrt Abs Neg Reciprocal Erf Floor Ceil Sin Cos "
        "Sign".split()
    },
    **{name: _activation(name.lower()) for name in "Softplus Mish Softsign".split()},
    "Not": _unary("logical_not"),
    "HardSwish": _activation("hardswish"),
    "HardSigmoid": _hard_sigmoid,
    "LeakyRelu": _leaky_relu,
    "Elu": _elu,
    "Gelu": _gelu,
    "PRelu": lambda torch, attrs, x, slope: torch.where(x < 0, slope * x, x),
    "Clip": _clip,
    "Softmax": lambda torch, attrs, x: x.softmax(attrs.get("axis", -1)),
    "LogSoftmax": lambda torch, attrs, x: x.log_softmax(attrs.get("axis", -1)),
    "Add": _pairwise("add"),
    "Sum": _pairwise("add"),
    "Sub": _pairwise("sub"),
    "Mul": _pairwise("mul"),
    "Div": _div,
    "Pow": _pairwise("pow"),
    "Min": _pairwise("minimum"),
    "Max": _pairwise("maximum"),
    "Equal": _pairwise("eq"),
    "Greater": _pairwise("gt"),
    "Less": _pairwise("lt"),
    "Where": lambda torch, attrs, chosen, a, b: torch.where(chosen, a, b),
    "ReduceMean": _reduced("mean"),
    "ReduceSum": SUM,
    "ReduceMax": _reduced("amax"),
    "ReduceMin": _reduced("amin"),
    "ReduceL2": _length,
    "Cast": _cast,
    "Identity": lambda torch, attrs, x, *unused: x,
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "Dropout": lambda torch, attrs, x, *unused: x,
}
