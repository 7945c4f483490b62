"""Weights of few bits: their integers moved step by step, and their scales, while the error falls.

The error of a layer is a quadratic form in its integers, so what one more step would change is
known for all of them at once. With so few levels the scale of a channel decides as much as the
rounding does: several are tried. Coordinate descent over the integers is that of K. Behdin et al.,
"QuantEase: optimization-based quantization for language models" (2023, arXiv 2309.01885), here
the step that brings most first.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...core.types import Float64

# Of the inputs' mean variance: what is added to each, as those of other samples differ.
_DAMPING = 0.1
# of the scale with which nothing is clipped
_SHARES = np.linspace(1.05, 0.35, 15)
_MOST_TO_TRY = 256  # inputs: beyond, the descent takes long and the first scale is as good
_SCALE_FITS = 2
_SMALL = 1e-12


def descended(
    matrix: Float64, covariance: Float64, steps: Float64, scales: Float64, limit: int
) -> tuple[Float64, Float64]:
    """Return integers (outputs, inputs) and scales (outputs) whose outputs err less.

    ``steps`` times ``scales`` stand for the ``matrix`` (outputs, inputs) so far; the inputs have a
    ``covariance`` (inputs, inputs). An output is only changed to integers of which one is at the
    ``limit``, so that a quantizer that looks for the largest weight finds the same scale.

    Both weights halfway, and the inputs always equal: one of them is rounded up instead of both.

    >>> matrix, equal = np.array([[7.0, 0.5, 0.5]]), np.ones((3, 3))
    >>> first = np.array([[7.0, 1.0, 1.0]])
    >>> steps, scales = descended(matrix, equal, first, np.ones(1), 7)
    >>> round(float((steps * scales[:, None]).sum()), 1)
    8.0
    """
    damped = covariance + np.eye(len(covariance)) * (
        _DAMPING * np.trace(covariance) / len(covariance) + _SMALL
    )
    best_steps, best_scales = steps.copy(), scales.copy()
    least = _errors(matrix, damped, steps, scales, limit)
    for first, unit in _beginnings(matrix, steps, scales, limit):
        integers = _descend(matrix, damped, first, unit, limit)
        for _ in range(_SCALE_FITS):
            unit = _fitted_scales(matrix, damped, integers, unit)
            integers = _descend(matrix, damped, integers, unit, limit)
        errors = _errors(matrix, damped, integers, unit, limit)
        is_better = errors < least
        least[is_better] = errors[is_better]
        best_steps[is_better], best_scales[is_better] = integers[is_better], unit[is_better]
    return best_steps, best_scales


def _beginnings(
    matrix: Float64, steps: Float64, scales: Float64, limit: int
) -> Iterator[tuple[Float64, Float64]]:
    """Yield integers and scales to begin with: those given, and the nearest on other scales."""
    yield steps, scales
    if matrix.shape[1] > _MOST_TO_TRY:
        return
    widest = np.maximum(np.abs(matrix).max(axis=1) / limit, _SMALL)
    for share in _SHARES:
        unit = widest * share
        yield np.clip(np.rint(matrix / unit[:, None]), -limit, limit), unit


def _descend(
    matrix: Float64, covariance: Float64, steps: Float64, scales: Float64, limit: int
) -> Float64:
    """Return the integers once no single step lowers the error of an output any more."""
    steps, own = steps.copy(), np.diagonal(covariance)
    slopes = (steps * scales[:, None] - matrix) @ covariance
    rows = np.arange(len(steps))
    while len(rows):
        unit = scales[rows, None]
        curve, slope = unit * unit * own, 2 * unit * slopes[rows]
        up = np.where(steps[rows] < limit, curve + slope, np.inf)
        down = np.where(steps[rows] > -limit, curve - slope, np.inf)
        change = np.minimum(up, down)
        inputs = change.argmin(axis=1)
        at = np.arange(len(rows)), inputs
        lowers = change[at] < -_SMALL * curve[at]
        moves = np.where(up[at] <= down[at], 1.0, -1.0)[lowers]
        rows, inputs = rows[lowers], inputs[lowers]
        steps[rows, inputs] += moves
        slopes[rows] += (scales[rows] * moves)[:, None] * covariance[inputs]
    return steps


def _fitted_scales(
    matrix: Float64, covariance: Float64, steps: Float64, scales: Float64
) -> Float64:
    """Return the scales of least error of these integers; those of no use stay as they were."""
    products = steps @ covariance
    fitted = (products * matrix).sum(axis=1) / np.maximum((products * steps).sum(axis=1), _SMALL)
    return np.where(fitted > _SMALL, fitted, scales)


def _errors(
    matrix: Float64, covariance: Float64, steps: Float64, scales: Float64, limit: int
) -> Float64:
    """Return the error of every output, infinite where none of its integers is at the limit."""
    lost = steps * scales[:, None] - matrix
    is_full = np.abs(steps).max(axis=1) == limit
    return np.where(is_full, ((lost @ covariance) * lost).sum(axis=1), np.inf)
