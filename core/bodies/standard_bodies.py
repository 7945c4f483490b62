"""Operators of newer opsets, where the body that ONNX gives is missing, wrong or a slow one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..types import Shape
from .attention_body import attention
from .body_builder import BodyBuilder
from .common_bodies import gelu, layer_moments, layer_normalized, rms_normalized, swish, tanh_gelu
from .rotary_body import rotary_embedding

# from a builder to the outputs, None where the node does not say enough
BodyRule = Callable[[BodyBuilder], Sequence[str] | None]


def _gelu(body: BodyBuilder) -> Sequence[str]:
    is_tanh = body.settings.get("approximate", "none") == "tanh"
    return [(tanh_gelu if is_tanh else gelu)(body, body.input(0))]


def _swish(body: BodyBuilder) -> Sequence[str]:
    return [swish(body, body.input(0), body.settings.get("alpha", 1.0))]


def _rms_normalization(body: BodyBuilder) -> Sequence[str] | None:
    axes = normalized_axes(body)
    return None if axes is None else [rms_normalized(body, body.input(0), body.input(1), axes)]


def _layer_normalization(body: BodyBuilder) -> Sequence[str] | None:
    axes = normalized_axes(body)
    if axes is None:
        return None
    if any(body.node.output[1:]):
        return layer_moments(body, body.input(0), body.input(1), body.input(2), axes)
    return [layer_normalized(body, body.input(0), body.input(1), body.input(2), axes)]


def normalized_axes(body: BodyBuilder) -> list[int] | None:
    """Return the axes that a normalization goes over, counted from the end; None if unknown."""
    shape, axis = body.shape(0), body.settings.get("axis", -1)
    if shape is None:
        return None
    return list(range(axis if axis < 0 else axis - len(shape), 0))


def _group_normalization(body: BodyBuilder) -> Sequence[str] | None:
    """As exporters for older opsets write it (arXiv 1803.08494): a normalization a group."""
    shape, groups = body.shape(0), body.settings["num_groups"]
    if shape is None or body.shape(1) is None:
        return None
    ones, zeros = body.constant(np.ones(groups)), body.constant(np.zeros(groups))
    x = body.reshaped(body.input(0), [shape[0], groups, -1])
    epsilon = body.settings.get("epsilon", 1e-5)
    x = body.add("InstanceNormalization", x, ones, zeros, epsilon=epsilon)
    scale, bias = (_by_channel(body, place, shape, groups) for place in (1, 2))
    return [body.add("Add", body.add("Mul", body.reshaped(x, shape), scale), bias)]


def _by_channel(body: BodyBuilder, position: int, shape: Shape, groups: int) -> str:
    """One value a channel, behind which the other axes follow; before opset 21 one a group."""
    channels, rest = shape[1], [1] * (len(shape) - 2)
    x = body.input(position)
    if body.shape(position) == (groups,) != (channels,):
        sizes = body.constant(np.array([groups, channels // groups], np.int64))
        x = body.add("Expand", body.reshaped(x, [groups, 1]), sizes)
    return body.reshaped(x, [channels, *rest])


def _affine_grid(body: BodyBuilder) -> Sequence[str] | None:
    """Where each pixel comes from (arXiv 1506.02025): its place in [-1, 1] times a matrix."""
    sizes = body.value(1)
    if sizes is None:
        return None
    plane = [int(size) for size in sizes[2:]]
    ends = [1.0 if body.settings.get("align_corners") else 1 - 1 / size for size in plane]
    steps = [np.linspace(-end, end, size) for end, size in zip(ends, plane, strict=True)]
    places = np.meshgrid(*steps, indexing="ij")[::-1]  # across comes first
    base = np.stack([*places, np.ones(plane)], axis=-1).reshape(1, -1, len(plane) + 1)
    matrix = body.add("Transpose", body.input(0), perm=[0, 2, 1])
    grid = body.add("MatMul", body.constant(base), matrix)
    return [body.reshaped(grid, [int(sizes[0]), *plane, len(plane)])]


def _image_scaler(body: BodyBuilder) -> Sequence[str]:
    """Of the first ONNX and of WinML: a factor for all, and a shift for each channel."""
    scaled = body.add("Mul", body.input(0), body.constant(float(body.settings.get("scale", 1.0))))
    shifts = np.reshape(body.settings.get("bias", [0.0]), (-1, 1, 1))
    return [body.add("Add", scaled, body.constant(shifts))]


STANDARD_BODIES: Mapping[str, BodyRule] = {
    "AffineGrid": _affine_grid,
    "Attention": attention,
    "Gelu": _gelu,
    "GroupNormalization": _group_normalization,
    "ImageScaler": _image_scaler,
    "LayerNormalization": _layer_normalization,
    "RMSNormalization": _rms_normalization,
    "RotaryEmbedding": rotary_embedding,
    "SimplifiedLayerNormalization": _rms_normalization,
    "Swish": _swish,
}
