"""Scales of constants that int8 operators read: exact ones where the values lie on a grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...core.types import Array, Float64
from .scales import INT8_HIGH, INT8_LOW, activation_scale

_STEPS = INT8_HIGH - INT8_LOW
# of the smallest value: a grid of cells that starts at half a cell has a unit of one of these
_FRACTIONS = range(1, 9)


def constant_scale(values: Array) -> tuple[float, int]:
    """Return scale and zero point (int8) of a constant; all its values are steps where they can be.

    As many steps are used as fit. The zero point is never 0, see activation_scale.

    A number alone, strides, and the middles of 40 cells:

    >>> for values in [3.0], [8.0, 16.0, 32.0], np.arange(40) + 0.5:
    ...     scale, zero_point = constant_scale(np.array(values))
    ...     steps = constant_steps(np.array(values), scale, zero_point).astype(float)
    ...     bool(np.abs((steps - zero_point) * scale - values).max() < 1e-5)
    True
    True
    True
    """
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    unit = _unit(np.unique(values.astype(np.float64)), high - low)
    scale = (
        float(np.float32(unit / (_STEPS // max(round((high - low) / unit), 1)))) if unit else 0.0
    )
    if scale == 0:  # no unit, or none that float32 has
        return activation_scale(low, high)
    below, above = round(-low / scale), round(high / scale)
    zero_point = INT8_LOW + below
    if zero_point:
        return scale, zero_point
    return (scale, 1) if above < INT8_HIGH else activation_scale(low, high)


def _unit(values: Float64, span: float) -> float:
    """Return of what all of these are multiples, if int8 can count them from 0; else 0."""
    sizes = np.abs(values[values != 0])
    if not sizes.size or values.size > _STEPS + 1:
        return 0.0
    for parts in _FRACTIONS:
        unit = float(sizes.min()) / parts
        multiples = values / unit
        if span / unit > _STEPS + 0.5:
            return 0.0
        if np.abs(multiples - np.rint(multiples)).max() < 1e-4:
            return unit
    return 0.0


def constant_steps(values: Array, scale: float, zero_point: int) -> NDArray[np.int8]:
    """Return values as int8, to nearest."""
    steps = np.rint(values.astype(np.float64) / scale) + zero_point
    return np.asarray(np.clip(steps, INT8_LOW, INT8_HIGH), np.int8)


def rounded(values: Array, scale: float, zero_point: int) -> Float64:
    """Return what is left of values in int8."""
    steps = constant_steps(values, scale, zero_point).astype(np.float64)
    return np.asarray((steps - zero_point) * scale)
