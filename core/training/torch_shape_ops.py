"""ONNX's operators that only rearrange values, as torch functions; see torch_layers.py.

Shapes, axes and the like come as tensors of integers that are the same for every sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..errors import ModelError
from ..types import Array
from .torch_layers import UNTRAINED, Attrs, Operator, Tensor, Torch


def _reshape(torch: Torch, attrs: Attrs, x: Tensor, shape: Tensor) -> Tensor:
    target = _ints(shape)
    if not attrs.get("allowzero"):
        target = [size or x.shape[axis] for axis, size in enumerate(target)]
    return x.reshape(target)


def _flatten(torch: Torch, attrs: Attrs, x: Tensor) -> Tensor:
    axis = attrs.get("axis", 1)
    axis += x.ndim if axis < 0 else 0
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


def _squeeze(torch: Torch, attrs: Attrs, x: Tensor, axes: Tensor = None) -> Tensor:
    chosen = _axes(attrs, axes)
    if chosen is None:
        return x.reshape([size for size in x.shape if size != 1])
    chosen = [axis % x.ndim for axis in chosen]
    return x.reshape([size for axis, size in enumerate(x.shape) if axis not in chosen])


def _unsqueeze(torch: Torch, attrs: Attrs, x: Tensor, axes: Tensor = None) -> Tensor:
    chosen = _axes(attrs, axes) or []
    for axis in sorted(axis % (x.ndim + len(chosen)) for axis in chosen):
        x = x.unsqueeze(axis)
    return x


def _transpose(torch: Torch, attrs: Attrs, x: Tensor) -> Tensor:
    return x.permute(list(attrs.get("perm") or range(x.ndim)[::-1]))


def _split(torch: Torch, attrs: Attrs, x: Tensor, sizes: Tensor = None) -> Tensor:
    axis, count = attrs.get("axis", 0), attrs["outputs"]
    parts = _ints(sizes) if sizes is not None else attrs.get("split")
    return x.split(list(parts) if parts else -(-x.shape[axis] // count), axis)


def _slice(torch: Torch, attrs: Attrs, x: Tensor, *more: Tensor) -> Tensor:
    starts, ends, axes, steps = _optional(more, 4)
    first = _ints(starts) if starts is not None else list(attrs["starts"])
    last = _ints(ends) if ends is not None else list(attrs["ends"])
    chosen = _axes(attrs, axes) or list(range(len(first)))
    by = _ints(steps) if steps is not None else [1] * len(first)
    for axis, start, end, step in zip(chosen, first, last, by, strict=True):
        taken = range(*slice(start, end, step).indices(x.shape[axis]))
        if step < 0 and end < -x.shape[axis]:  # beyond the beginning, which a slice cannot say
            taken = range(taken.start, -1, step)
        if step == 1:
            x = x.narrow(axis, taken.start, len(taken))
        else:
            x = x.index_select(axis, torch.tensor(taken, dtype=torch.int64))
    return x


def _gather(torch: Torch, attrs: Attrs, x: Tensor, indices: Tensor) -> Tensor:
    axis = attrs.get("axis", 0) % x.ndim
    taken = x.index_select(axis, indices.to(torch.int64).flatten() % x.shape[axis])
    return taken.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def _pad(torch: Torch, attrs: Attrs, x: Tensor, *more: Tensor) -> Tensor:
    pads, value, axes = _optional(more, 3)
    widths = _ints(pads) if pads is not None else list(attrs["pads"])
    chosen = [axis % x.ndim for axis in (_axes(attrs, axes) or range(x.ndim))]
    half = len(widths) // 2
    fill = attrs.get("value", 0.0) if value is None else float(value)
    for axis, begin, end in zip(chosen, widths[:half], widths[half:], strict=True):
        if begin > 0 or end > 0:
            x = _padded_axis(torch, attrs.get("mode", "constant"), x, axis, (begin, end), fill)
        first, size = max(0, -begin), x.shape[axis]
        x = x.narrow(axis, first, size - first - max(0, -end))
    return x


def _padded_axis(
    torch: Torch, mode: str, x: Tensor, axis: int, widths: tuple[int, int], fill: float
) -> Tensor:
    begin, end = (max(0, width) for width in widths)
    if mode == "constant":
        return torch.nn.functional.pad(x, [*[0, 0] * (x.ndim - 1 - axis), begin, end], value=fill)
    kinds = {"edge": "edge", "reflect": "reflect", "wrap": "wrap"}
    taken = np.pad(np.arange(x.shape[axis]), (begin, end), mode=kinds[mode])  # type: ignore[call-overload]
    return x.index_select(axis, torch.from_numpy(taken))


def _depth_to_space(torch: Torch, attrs: Attrs, x: Tensor) -> Tensor:
    batch, depth, height, width = x.shape
    block = attrs["blocksize"]
    out = batch, depth // block**2, height * block, width * block
    if attrs.get("mode", "DCR") == "CRD":
        parts = x.reshape(batch, out[1], block, block, height, width)
        return parts.permute(0, 1, 4, 2, 5, 3).reshape(out)
    parts = x.reshape(batch, block, block, out[1], height, width)
    return parts.permute(0, 3, 4, 1, 5, 2).reshape(out)


def _space_to_depth(torch: Torch, attrs: Attrs, x: Tensor) -> Tensor:
    batch, depth, height, width = x.shape
    block = attrs["blocksize"]
    parts = x.reshape(batch, depth, height // block, block, width // block, block)
    out = batch, depth * block**2, height // block, width // block
    return parts.permute(0, 3, 5, 1, 2, 4).reshape(out)


def _resize(torch: Torch, attrs: Attrs, x: Tensor, *more: Tensor) -> Tensor:
    """Resize axis by axis: each output is one input, or lies between two."""
    region, scales, sizes = _optional(more, 3)
    if sizes is not None and sizes.numel():
        target = _ints(sizes)
        factors = [size / present for size, present in zip(target, x.shape, strict=True)]
    else:
        factors = [float(factor) for factor in (region if scales is None else scales).tolist()]
        target = [math.floor(size * factor) for size, factor in zip(x.shape, factors, strict=True)]
    for axis, (size, factor) in enumerate(zip(target, factors, strict=True)):
        if size != x.shape[axis]:
            x = _resized_axis(torch, attrs, x, axis, size, factor)
    return x


def _resized_axis(
    torch: Torch, attrs: Attrs, x: Tensor, axis: int, size: int, factor: float
) -> Tensor:
    length = x.shape[axis]
    positions = _source_positions(attrs, np.arange(size), length, size, factor)
    if attrs.get("mode", "nearest") == "nearest":
        rounded = _ROUNDED[attrs.get("nearest_mode", "round_prefer_floor")](positions)
        taken = np.clip(rounded, 0, length - 1).astype(np.int64)
        return x.index_select(axis, torch.from_numpy(taken))
    positions = np.clip(positions, 0, length - 1)
    low = np.minimum(positions.astype(np.int64), length - 1)
    share = (positions - low).astype(np.float32).reshape(-1, *[1] * (x.ndim - 1 - axis))
    high = np.minimum(low + 1, length - 1)
    first, second = (x.index_select(axis, torch.from_numpy(at)) for at in (low, high))
    return first + (second - first) * torch.from_numpy(share)


_ROUNDED: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda positions: np.ceil(positions - 0.5),
    "round_prefer_ceil": lambda positions: np.floor(positions + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _source_positions(attrs: Attrs, at: Array, length: int, size: int, factor: float) -> Array:
    """Return the positions in the input of the outputs ``at``."""
    mode = attrs.get("coordinate_transformation_mode", "half_pixel")
    if mode == "asymmetric":
        return at / factor
    if mode == "align_corners":
        return at * ((length - 1) / max(1, size - 1))
    if mode == "pytorch_half_pixel" and size == 1:
        return at * 0.0
    if mode not in ("half_pixel", "pytorch_half_pixel"):
        raise ModelError(
            f"training cannot go through a Resize with the coordinates {mode}", UNTRAINED
        )
    return (at + 0.5) / factor - 0.5


def _optional(inputs: Sequence[Tensor], count: int) -> list[Tensor]:
    """Return the optional inputs of an operator, None for those left out."""
    return [*inputs, *[None] * (count - len(inputs))]


def _ints(tensor: Tensor) -> list[int]:
    return [int(number) for number in tensor.flatten().tolist()]


def _axes(attrs: Attrs, axes: Tensor) -> list[int] | None:
    if axes is not None:
        return _ints(axes)
    return list(attrs["axes"]) if "axes" in attrs else None


def _shape(torch: Torch, attrs: Attrs, x: Tensor) -> Tensor:
    return torch.tensor(list(x.shape)[attrs.get("start", 0) : attrs.get("end")], dtype=torch.int64)


def _expand(torch: Torch, attrs: Attrs, x: Tensor, shape: Tensor) -> Tensor:
    return x.expand(torch.broadcast_shapes(tuple(x.shape), tuple(_ints(shape))))


def _concat(torch: Torch, attrs: Attrs, *parts: Sequence[Tensor]) -> Tensor:
    return torch.cat(parts, attrs["axis"])


SHAPE_OPERATORS: dict[str, Operator] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    "Pad": _pad,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "Resize": _resize,
    "Upsample": _resize,
    "Shape": _shape,
    "Expand": _expand,
    "Tile": lambda torch, attrs, x, repeats: x.tile(_ints(repeats)),
}
