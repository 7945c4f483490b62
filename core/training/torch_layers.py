"""ONNX's layers with weights, pools and normalisations, as torch functions.

Each takes the module torch, which is not there without the extra, a node's attributes, and the
inputs as ONNX orders them; an input that is left out is None. Shapes are ONNX's: (N, C, ...).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Torch = Any
Tensor = Any
Attrs = Mapping[str, Any]
Operator = Callable[..., Any]

UNTRAINED = "leave the training out"  # what to do where an operator is in its way
_OUTSIDE = -math.inf  # what a maximum never takes


def _conv(torch: Torch, attrs: Attrs, x: Tensor, weight: Tensor, bias: Tensor = None) -> Tensor:
    rank = x.ndim - 2
    strides, dilations = _per_axis(attrs, "strides", rank), _per_axis(attrs, "dilations", rank)
    begin, end = _pads(attrs, x.shape[2:], weight.shape[2:], strides, dilations)
    group = attrs.get("group", 1)
    convolve = getattr(torch, f"conv{rank}d")
    # torch has no pads that differ, and a tensor that is padded first loses its order in memory: so
    # there are more pads, and the outputs that come before and behind are cut off
    early = [max(0, -(-(q - p) // step)) for p, q, step in zip(begin, end, strides, strict=True)]
    both = [p + count * step for p, count, step in zip(begin, early, strides, strict=True)]
    y = convolve(x, weight, bias, strides, both, dilations, group)
    for axis, count in enumerate(early, start=2):
        at = axis - 2
        taps = dilations[at] * (weight.shape[axis] - 1) + 1
        size = (x.shape[axis] + begin[at] + end[at] - taps) // strides[at] + 1
        y = y.narrow(axis, count, size) if y.shape[axis] != size else y
    return y


def _conv_transpose(
    torch: Torch, attrs: Attrs, x: Tensor, weight: Tensor, bias: Tensor = None
) -> Tensor:
    rank = x.ndim - 2
    strides, dilations = _per_axis(attrs, "strides", rank), _per_axis(attrs, "dilations", rank)
    extra = _per_axis(attrs, "output_padding", rank, 0)
    transposed = getattr(torch, f"conv_transpose{rank}d")
    # torch has no pads that differ, so all of the output is made and its edges are cut off
    y = transposed(x, weight, bias, strides, 0, extra, attrs.get("group", 1), dilations)
    begin, end = _pads_of_output(attrs, x.shape[2:], y.shape[2:], strides)
    for axis, (first, last) in enumerate(zip(begin, end, strict=True), start=2):
        y = y.narrow(axis, first, y.shape[axis] - first - last)
    return y


def _pads_of_output(
    attrs: Attrs, before: Sequence[int], whole: Sequence[int], strides: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Return what a transposed convolution cuts off at the beginning and the end of each axis."""
    rank, auto = len(before), attrs.get("auto_pad", "NOTSET")
    shape = attrs.get("output_shape")
    if auto in ("SAME_UPPER", "SAME_LOWER") and not shape:
        shape = [size * step for size, step in zip(before, strides, strict=True)]
    if not shape:
        pads = _per_axis(attrs, "pads", 2 * rank, 0)
        return pads[:rank], pads[rank:]
    cut = [size - target for size, target in zip(whole, list(shape)[-rank:], strict=True)]
    less = [count // 2 for count in cut]
    more = [count - half for count, half in zip(cut, less, strict=True)]
    return (less, more) if auto == "SAME_UPPER" else (more, less)


def _gemm(torch: Torch, attrs: Attrs, a: Tensor, b: Tensor, c: Tensor = None) -> Tensor:
    a = a.T if attrs.get("transA") else a
    b = b.T if attrs.get("transB") else b
    y = attrs.get("alpha", 1.0) * (a @ b)
    return y if c is None else y + attrs.get("beta", 1.0) * c


def _max_pool(torch: Torch, attrs: Attrs, x: Tensor) -> Tensor:
    rank, kernel = x.ndim - 2, attrs["kernel_shape"]
    strides, dilations = _per_axis(attrs, "strides", rank), _per_axis(attrs, "dilations", rank)
    begin, end = _pads(attrs, x.shape[2:], kernel, strides, dilations)
    pool = getattr(torch, f"max_pool{rank}d")
    if begin != end or any(2 * pad > size for pad, size in zip(begin, kernel, strict=True)):
        x, begin = _padded(torch, x, begin, end, _OUTSIDE), [0] * rank
    return pool(x, kernel, strides, begin, dilations, bool(attrs.get("ceil_mode", 0)))


def _average_pool(torch: Torch, attrs: Attrs, x: Tensor) -> Tensor:
    rank, kernel = x.ndim - 2, attrs["kernel_shape"]
    strides = _per_axis(attrs, "strides", rank)
    begin, end = _pads(attrs, x.shape[2:], kernel, strides, [1] * rank)
    pool = getattr(torch.nn.functional, f"avg_pool{rank}d")
    ceil = bool(attrs.get("ceil_mode", 0))
    summed = pool(_padded(torch, x, begin, end), kernel, strides, 0, ceil)
    if attrs.get("count_include_pad", 0) or not any([*begin, *end]):
        return summed
    counted = _padded(torch, torch.ones_like(x), begin, end)
    return summed / pool(counted, kernel, strides, 0, ceil)


def _batch_norm(
    torch: Torch, attrs: Attrs, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor
) -> Tensor:
    factor = scale / (var + attrs.get("epsilon", 1e-5)).sqrt()
    return x * _per_channel(factor, x) + _per_channel(bias - mean * factor, x)


def _instance_norm(torch: Torch, attrs: Attrs, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    standard = _standardize(x, tuple(range(2, x.ndim)), attrs.get("epsilon", 1e-5))
    return standard * _per_channel(scale, x) + _per_channel(bias, x)


def _layer_norm(
    torch: Torch, attrs: Attrs, x: Tensor, scale: Tensor, bias: Tensor = None
) -> Tensor:
    first = attrs.get("axis", -1) % x.ndim
    scaled = _standardize(x, tuple(range(first, x.ndim)), attrs.get("epsilon", 1e-5)) * scale
    return scaled if bias is None else scaled + bias


def _standardize(x: Tensor, axes: tuple[int, ...], epsilon: float) -> Tensor:
    centred = x - x.mean(axes, keepdim=True)
    return centred / (centred.square().mean(axes, keepdim=True) + epsilon).sqrt()


def _per_channel(values: Tensor, x: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (x.ndim - 2))


def _per_axis(attrs: Attrs, name: str, count: int, default: int = 1) -> list[int]:
    return list(attrs.get(name) or [default] * count)


def _pads(
    attrs: Attrs,
    sizes: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> tuple[list[int], list[int]]:
    """Return the pads at the beginning and at the end of each axis."""
    rank, auto = len(sizes), attrs.get("auto_pad", "NOTSET")
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        pads = _per_axis(attrs, "pads", 2 * rank, 0)
        return pads[:rank], pads[rank:]
    less, more = [], []
    for size, taps, step, gap in zip(sizes, kernel, strides, dilations, strict=True):
        total = max(0, (-(-size // step) - 1) * step + (taps - 1) * gap + 1 - size)
        less.append(total // 2)
        more.append(total - total // 2)
    return (less, more) if auto == "SAME_UPPER" else (more, less)


def _padded(
    torch: Torch, x: Tensor, begin: Sequence[int], end: Sequence[int], value: float = 0.0
) -> Tensor:
    if not any([*begin, *end]):
        return x
    both = [size for pair in zip(reversed(begin), reversed(end), strict=True) for size in pair]
    return torch.nn.functional.pad(x, both, value=value)


LAYERS: dict[str, Operator] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": lambda torch, attrs, a, b: a @ b,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": lambda torch, attrs, x: x.mean(tuple(range(2, x.ndim)), keepdim=True),
    "GlobalMaxPool": lambda torch, attrs, x: x.amax(tuple(range(2, x.ndim)), keepdim=True),
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
}
