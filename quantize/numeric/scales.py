"""Scales and zero points: from ranges of real numbers to integers, and back.

The integers are those of ONNX QuantizeLinear: q = saturate(round(x / scale) + zero_point).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...core.types import Array, Float32

INT8_LOW, INT8_HIGH = -128, 127
LEVELS = INT8_HIGH - INT8_LOW + 1
# The NPU's compiler puts weights on a grid of +-127 steps or of +-128, by its version; integers
# of at most 126 can be carried into either without loss (see convert/).
WEIGHT_LIMIT = 126
_SMALLEST_SCALE = 1e-8
# of a step: what float32 rounds is far less
_OFF_GRID = 1e-3


def activation_scale(low: float, high: float) -> tuple[float, int]:
    """Return scale and zero point (asymmetric int8) of an activation with values in [low, high].

    The range is widened to hold 0, so that padding is exact. A zero point of 0 is avoided by
    widening the range by one more step, on the side that is the shorter one: the compiler takes
    tensors whose zero point is 0 for symmetric ones and moves their scale.

    >>> activation_scale(0.0, 255.0)
    (1.0, -128)
    >>> activation_scale(-128.0, 127.0)[1], activation_scale(-128.4, 126.6)[1]
    (-1, 1)
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = _single((high - low) / (INT8_HIGH - INT8_LOW))
    zero_point = round(INT8_LOW - low / scale)
    if zero_point == 0:
        scale = _single((high - low) / (INT8_HIGH - INT8_LOW - 1))
        # what lies beyond the range is half a step at most, on whichever side it is
        zero_point = 1 if -low / scale > (INT8_HIGH - INT8_LOW) / 2 else -1
    return scale, int(np.clip(zero_point, INT8_LOW, INT8_HIGH))


def symmetric_scale(low: float, high: float, bits: int) -> tuple[float, int]:
    """Return scale and zero point (0) of an activation with values in [low, high].

    >>> symmetric_scale(-254.0, 12.0, 8), symmetric_scale(0.0, 32767.0, 16)
    ((2.0, 0), (1.0, 0))
    """
    return _single(max(-low, high) / (2 ** (bits - 1) - 1)), 0


def _single(scale: float) -> float:
    """Return the scale as float32, which is what ONNX stores, and never zero."""
    return float(np.float32(max(scale, _SMALLEST_SCALE)))


def is_on_grid(weight: Array, axis: int, limit: int) -> bool:
    """Return whether every channel along ``axis`` is in whole steps, its largest being ``limit``.

    >>> is_on_grid(np.array([[0.7, -0.2], [7, 1]]), 0, 7), is_on_grid(np.array([[7, 0.5]]), 0, 7)
    (True, False)
    """
    channels = np.abs(np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1))
    largest = channels.max(axis=1, keepdims=True)
    steps = channels / np.where(largest > 0, largest, 1) * limit
    return bool((np.abs(steps - np.rint(steps)) < _OFF_GRID).all())


def weight_scales(weight: Float32, axis: int) -> Float32:
    """Return the symmetric scale of every channel along ``axis``: max |w| becomes WEIGHT_LIMIT.

    >>> weight_scales(np.array([[1.26, -0.5], [0.0, 12.6]], np.float32), 0).round(4).tolist()
    [0.009999999776482582, 0.10000000149011612]
    """
    others = tuple(i for i in range(weight.ndim) if i != axis)
    largest = np.abs(weight).max(axis=others) / WEIGHT_LIMIT
    scales: Float32 = np.maximum(largest, _SMALLEST_SCALE).astype(np.float32)
    return scales


def floored_for_bias(scales: Float32, input_scale: float, bias: Float32) -> Float32:
    """Raise the scales of (nearly) dead channels until the int32 bias fits.

    The bias is stored in units of input_scale * scale; a channel with almost no weight would
    need more of them than int32 can count.
    """
    floor = np.abs(bias) / (input_scale * 2.0**30)
    return np.maximum(scales, floor).astype(np.float32)


def quantize_weight(weight: Float32, scales: Float32, axis: int) -> NDArray[np.int8]:
    """Round to nearest, one scale a channel, integers of at most WEIGHT_LIMIT.

    >>> quantize_weight(np.array([[1.26, -0.5]], np.float32), np.array([0.01], np.float32), 0)
    array([[126, -50]], dtype=int8)
    """
    steps = weight / along(scales, axis, weight.ndim)
    return np.asarray(np.clip(np.rint(steps), -WEIGHT_LIMIT, WEIGHT_LIMIT), dtype=np.int8)


def quantize_bias(bias: Float32, input_scale: float, scales: Float32) -> NDArray[np.int32]:
    """Return the bias in units of input_scale * weight scale: that of the integer accumulator."""
    steps = np.rint(bias / (np.float64(input_scale) * scales))
    return np.clip(steps, -(2**31) + 1, 2**31 - 1).astype(np.int32)


def dequantize(steps: NDArray[np.int8], scales: Float32, axis: int) -> Float32:
    """Turn integers back into real numbers, one scale a channel."""
    return np.asarray(steps * along(scales, axis, steps.ndim), dtype=np.float32)


def along(values: Array, axis: int, rank: int) -> Array:
    """Return values, one a channel, as they lie along ``axis`` of an array of this rank."""
    return values.reshape([-1 if i == axis else 1 for i in range(rank)])
