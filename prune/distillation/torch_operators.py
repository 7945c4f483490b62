"""All ONNX operators that a graph may have to be trained: those of deployed networks.

An operator is a function of the module torch, the node's attributes (with ``outputs``, their
number) and the inputs; see torch_layers.py. A recurrent layer or a branch is not among them.
"""

from __future__ import annotations

from functools import reduce

from onnx import helper

from .torch_layers import LAYERS, Given, Operator, Tensor, Torch
from .torch_shape_ops import MOVING


def _clip(torch: Torch, given: Given, x: Tensor, low: Tensor = None, high: Tensor = None) -> Tensor:
    bounds = [
        given.get(name) if bound is None else bound.item()
        for name, bound in (("min", low), ("max", high))
    ]
    return x if bounds == [None, None] else x.clamp(*bounds)


def _hard_sigmoid(torch: Torch, given: Given, x: Tensor) -> Tensor:
    return (given.get("alpha", 0.2) * x + given.get("beta", 0.5)).clamp(0, 1)


def _leaky_relu(torch: Torch, given: Given, x: Tensor) -> Tensor:
    return torch.nn.functional.leaky_relu(x, given.get("alpha", 0.01))


def _elu(torch: Torch, given: Given, x: Tensor) -> Tensor:
    return torch.nn.functional.elu(x, given.get("alpha", 1.0))


def _gelu(torch: Torch, given: Given, x: Tensor) -> Tensor:
    return torch.nn.functional.gelu(x, approximate=given.get("approximate", "none"))


def _div(torch: Torch, given: Given, a: Tensor, b: Tensor) -> Tensor:
    return a / b if a.is_floating_point() else a.div(b, rounding_mode="trunc")


def _cast(torch: Torch, given: Given, x: Tensor, like: Tensor = None) -> Tensor:
    return x.to(getattr(torch, helper.tensor_dtype_to_np_dtype(given["to"]).name))


def _pairwise(name: str) -> Operator:
    """An operator of two or more inputs out of the torch function of two."""

    def fold(torch: Torch, given: Given, *inputs: Tensor) -> Tensor:
        return reduce(getattr(torch, name), inputs)

    return fold


def _reduced(name: str) -> Operator:
    def over(torch: Torch, given: Given, x: Tensor, axes: Tensor = None) -> Tensor:
        chosen = given.get("axes") if axes is None else axes.tolist()
        if not chosen:
            if given.get("noop_with_empty_axes"):
                return x
            chosen = range(x.ndim)
        return getattr(torch, name)(x, tuple(chosen), keepdim=bool(given.get("keepdims", 1)))

    return over


def _length(torch: Torch, given: Given, x: Tensor, axes: Tensor = None) -> Tensor:
    return SUM(torch, given, x.square(), axes).sqrt()


def _unary(name: str) -> Operator:
    return lambda torch, given, x: getattr(torch, name)(x)


def _activation(name: str) -> Operator:
    return lambda torch, given, x: getattr(torch.nn.functional, name)(x)


SUM = _reduced("sum")

OPERATORS: dict[str, Operator] = {
    **LAYERS,
    **MOVING,
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
    "PRelu": lambda torch, given, x, slope: torch.where(x < 0, slope * x, x),
    "Clip": _clip,
    "Softmax": lambda torch, given, x: x.softmax(given.get("axis", -1)),
    "LogSoftmax": lambda torch, given, x: x.log_softmax(given.get("axis", -1)),
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
    "Where": lambda torch, given, chosen, a, b: torch.where(chosen, a, b),
    "ReduceMean": _reduced("mean"),
    "ReduceSum": SUM,
    "ReduceMax": _reduced("amax"),
    "ReduceMin": _reduced("amin"),
    "ReduceL2": _length,
    "Cast": _cast,
    "Identity": lambda torch, given, x, *unused: x,
    "Dropout": lambda torch, given, x, *unused: x,
}
