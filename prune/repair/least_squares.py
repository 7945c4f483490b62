"""The matrix and the bias that best predict some targets, computed from moments."""

from __future__ import annotations

import numpy as np

from ...core import linear_systems
from ...core.streaming.moments import Moments, ridge
from ...core.types import Float64

RIDGE = 1e-3


def solve(
    moments: Moments, start: Float64, *, has_bias: bool = True, strength: float = RIDGE
) -> tuple[Float64, Float64]:
    """Return the matrix (m, d) and bias (m,) that best predict the targets, near ``start``.

    Minimises |Y - W X - b|^2 + r |W - start|^2 with r of this ``strength`` relative to the inputs'
    mean variance; b is zero for a layer that has none.

    >>> moments = Moments(1, 1)
    >>> moments.add(np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [3.0], [5.0]]))
    >>> matrix, bias = solve(moments, np.array([[2.0]]))
    >>> np.round(matrix, 6).tolist(), np.round(bias, 6).tolist()
    ([[2.0]], [1.0])
    """
    second, cross = second_moments(moments, has_bias=has_bias), moments.cross
    if not has_bias:
        cross = cross + np.outer(moments.mean_y, moments.mean_x)
    residual = cross - start @ second
    matrix = start + linear_systems.solve(ridge(second, strength), residual.T).T
    return matrix, bias_of(moments, matrix, has_bias=has_bias)


def second_moments(moments: Moments, *, has_bias: bool) -> Float64:
    """Return the inputs' second moments (d, d): about their mean with a bias, else about 0."""
    covariance = moments.covariance
    return covariance if has_bias else covariance + np.outer(moments.mean_x, moments.mean_x)


def bias_of(moments: Moments, matrix: Float64, *, has_bias: bool) -> Float64:
    """Return the bias (m,) that gives the targets their mean; zeros for a layer without one."""
    bias = moments.mean_y - matrix @ moments.mean_x
    return bias if has_bias else np.zeros_like(bias)
