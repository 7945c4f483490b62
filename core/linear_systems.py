"""Systems of second moments, solved whatever the samples were: dead, constant, tiny or huge."""

from __future__ import annotations

import numpy as np

from .diagnostics import option
from .errors import NotFiniteError
from .types import Array, Float64

# of the largest eigenvalue: what rounding of float32 leaves of one that is 0
_LEAST = 1e-7
_MOST_SINGLE = 1e30  # float32 still holds the sum of many products of this size


def product(a: Array, b: Array) -> Array:
    """Return the matrix product, in float64 where float32 could not hold a sum of such.

    >>> large = np.full((1, 1), 1e20, np.float32)
    >>> product(large, large).dtype.name, product(large, large / large).dtype.name
    ('float64', 'float32')
    """
    with np.errstate(over="ignore", invalid="ignore"):
        result: Array = a @ b
    if result.dtype == np.float64 or not result.size:
        return result
    if result.min() >= -_MOST_SINGLE and result.max() <= _MOST_SINGLE:
        return result
    return np.asarray(a.astype(np.float64) @ b.astype(np.float64))


def lower_factor(second: Float64) -> Float64:
    """Return lower triangular L (..., d, d) with L L^T = ``second``, symmetric.

    Where rounding has left a ``second`` without one, L is that of the nearest that has one. Raises
    NotFiniteError for values that are not finite.

    >>> lower_factor(np.diag([4.0, 9.0])).tolist()
    [[2.0, 0.0], [0.0, 3.0]]
    >>> lower_factor(np.zeros((1, 2, 2))).shape
    (1, 2, 2)
    """
    _require_finite(second)
    try:
        return np.asarray(np.linalg.cholesky(second))
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.cholesky(_lifted(second)))


def solve(second: Array, right: Array) -> Array:
    """Return x with ``second`` x = ``right``, for a symmetric (..., d, d) and (..., d, n).

    Where rounding has left a ``second`` without an inverse, it is the nearest that has one. Raises
    NotFiniteError for values that are not finite.

    >>> solve(np.diag([4.0, 8.0]), np.array([[2.0], [2.0]])).tolist()
    [[0.5], [0.25]]
    >>> bool(np.isfinite(solve(np.ones((2, 2)), np.ones((2, 1)))).all())
    True
    """
    _require_finite(second, right)
    try:
        return np.asarray(np.linalg.solve(second, right))
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.solve(_lifted(second), right))


def _lifted(second: Array) -> Array:
    """Return the matrices with eigenvalues that are not clearly above 0 raised until they are."""
    values, vectors = np.linalg.eigh(second)
    tiny = np.finfo(values.dtype).tiny
    least = np.maximum(_LEAST * np.abs(values).max(axis=-1, keepdims=True), tiny)
    raised = np.maximum(values, least)
    lifted: Array = (vectors * raised[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    return lifted


def _require_finite(*arrays: Array) -> None:
    if not all(np.isfinite(array).all() for array in arrays):
        raise NotFiniteError(
            "what a layer reads or should give becomes NaN or infinite on the calibration samples",
            f"check {option('mean')} and {option('std')}: samples may be scaled wrongly",
        )
