"""Weights rounded one input at a time, each error made up for by the inputs still to come.

E. Frantar et al., "GPTQ: accurate post-training quantization for generative pre-trained
transformers" (ICLR 2023, arXiv 2210.17323), after B. Hassibi and D. Stork, "Second order
derivatives for network pruning: Optimal Brain Surgeon" (1992). Here the second moments are
centred, because a layer's bias makes up for the mean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...core.types import Float64
from . import QuantizationMethod, Rounding, mse

ORDER = 10
# Of the mean variance of the inputs. It pulls towards plain rounding where few samples were seen.
DAMPING = 0.1
_BLOCK = 128  # inputs after which the errors are carried over to all that follow
_SMALL = 64  # triangles that are inverted as they are


def gptq(
    matrix: Float64,
    covariance: Float64,
    scales: Float64,
    limit: int,
    free: NDArray[np.bool_] | None = None,
) -> Float64:
    """Return integers q (groups, outputs, inputs) such that q * scale does what ``matrix`` does.

    Minimises the expected squared error of the outputs for inputs of this covariance (groups,
    inputs, inputs), greedily, the inputs of most variance first. ``scales`` is (groups, outputs),
    |q| <= limit. Inputs that never vary are rounded to nearest. Where ``free``, a mask like
    ``matrix``, is False, q is 0: so the zeros of a sparse weight stay zeros.

    Two inputs that are always equal: the second weight is rounded up because the first was rounded
    down, so that their sum is right.

    >>> equal = np.ones((1, 2, 2))
    >>> gptq(np.array([[[0.4, 0.4]]]), equal, np.ones((1, 1)), 126).tolist()
    [[[0.0, 1.0]]]
    >>> held = np.array([[[True, False]]])
    >>> gptq(np.array([[[0.4, 0.4]]]), equal, np.ones((1, 1)), 126, held).tolist()
    [[[0.0, 0.0]]]
    """
    order = np.argsort(-np.diagonal(covariance, axis1=1, axis2=2), axis=1, kind="stable")
    free = None if free is None else np.take_along_axis(free, order[:, None, :], 2)
    upper = _inverse_root(covariance, order)
    # inputs before outputs, so that what is changed together lies together in memory
    rest = np.take_along_axis(matrix, order[:, None, :], 2).transpose(0, 2, 1).copy()
    steps = np.zeros_like(rest)
    width = rest.shape[1]
    for start in range(0, width, _BLOCK):
        stop = min(start + _BLOCK, width)
        errors = np.zeros_like(rest[:, start:stop])
        for i in range(start, stop):
            steps[:, i] = np.clip(np.rint(rest[:, i] / scales), -limit, limit)
            if free is not None:
                steps[:, i] *= free[:, :, i]
            error = (rest[:, i] - steps[:, i] * scales) / upper[:, i, i, None]
            rest[:, i + 1 : stop] -= upper[:, i, i + 1 : stop, None] * error[:, None, :]
            errors[:, i - start] = error
        rest[:, stop:] -= upper[:, start:stop, stop:].transpose(0, 2, 1) @ errors
    return np.take_along_axis(steps, np.argsort(order, axis=1)[:, :, None], 1).transpose(0, 2, 1)


def _inverse_root(covariance: Float64, order: NDArray[np.intp]) -> Float64:
    """Return the upper triangular U with U^T U = (damped covariance, inputs in this order)^-1.

    With the inputs in reverse, Cholesky gives L L^T of it; L turned about is upper triangular, and
    its inverse is U.
    """
    groups, width, _ = covariance.shape
    back = order[:, ::-1]
    damped = covariance[np.arange(groups)[:, None, None], back[:, :, None], back[:, None, :]]
    mean = np.trace(covariance, axis1=1, axis2=2) / width
    damped[:, np.arange(width), np.arange(width)] += (DAMPING * mean + 1e-12)[:, None]
    lower = np.linalg.cholesky(damped)
    return _inverse(np.ascontiguousarray(lower[:, ::-1, ::-1]))  # matmul is slow on other strides


def _inverse(upper: Float64) -> Float64:
    """Invert upper triangular matrices (groups, width, width) by halves: mostly by products."""
    width = upper.shape[-1]
    if width <= _SMALL:
        small: Float64 = np.linalg.inv(upper)
        return small
    half = width // 2
    first, last = _inverse(upper[:, :half, :half]), _inverse(upper[:, half:, half:])
    inverse = np.zeros_like(upper)
    inverse[:, :half, :half], inverse[:, half:, half:] = first, last
    inverse[:, :half, half:] = -(first @ upper[:, :half, half:] @ last)
    return inverse


METHOD = QuantizationMethod(mse.METHOD.ranges, Rounding("gptq", gptq), is_compared=True)
