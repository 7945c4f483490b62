"""Weights rounded one input at a time, each error made up for by the inputs still to come.

E. Frantar et al., "GPTQ: accurate post-training quantization for generative pre-trained
transformers" (ICLR 2023, arXiv 2210.17323), after B. Hassibi and D. Stork, "Second order
derivatives for network pruning: Optimal Brain Surgeon" (1992). Here the second moments are
centred, because a layer's bias makes up for the mean, and nothing is inverted: the errors that were
made so far, times a factor of the covariance itself, say as much.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...core.linear_systems import lower_factor
from ...core.types import Float64
from . import QuantizationMethod, Rounding, mse

ORDER = 10
# It pulls towards plain rounding where few samples were seen.
DAMPING = 0.1
_BLOCK = 32  # inputs that get the errors of all before them at once, by a matrix product


def gptq(
    matrix: Float64,
    covariance: Float64,
    scales: Float64,
    limit: int,
    free: NDArray[np.bool_] | None = None,
    *,
    damping: float = DAMPING,
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
    damped = _damped(covariance, order, damping)
    del covariance  # each is as large as the weight
    carried = _unit_factor(damped)
    del damped
    # inputs before outputs, so that what is changed together lies together in memory
    exact = np.take_along_axis(matrix.transpose(0, 2, 1), order[:, :, None], 1)
    steps, errors = np.zeros_like(exact), np.zeros_like(exact)
    width = exact.shape[1]
    for start in range(0, width, _BLOCK):
        stop = min(start + _BLOCK, width)
        earlier = carried[:, :start, start:stop].transpose(0, 2, 1) @ errors[:, :start]
        rest = exact[:, start:stop] + earlier
        for i in range(start, stop):
            step, error = steps[:, i], errors[:, i]
            np.rint(np.divide(rest[:, i - start], scales, out=step), out=step)
            np.maximum(np.minimum(step, limit, out=step), -limit, out=step)
            if free is not None:
                step *= free[:, :, i]
            np.subtract(exact[:, i], np.multiply(step, scales, out=error), out=error)
            rest[:, i + 1 - start :] += carried[:, i, i + 1 : stop, None] * error[:, None, :]
    del exact, errors, carried
    return np.take_along_axis(steps, np.argsort(order, axis=1)[:, :, None], 1).transpose(0, 2, 1)


def _damped(covariance: Float64, order: NDArray[np.intp], damping: float) -> Float64:
    """Return the damped covariance with its inputs in the reverse of this order."""
    groups, width, _ = covariance.shape
    back = order[:, ::-1]
    damped: Float64 = covariance[
        np.arange(groups)[:, None, None], back[:, :, None], back[:, None, :]
    ]
    mean = np.trace(covariance, axis1=1, axis2=2) / width
    damped[:, np.arange(width), np.arange(width)] += (damping * mean + 1e-12)[:, None]
    return damped


def _unit_factor(damped: Float64) -> Float64:
    """Return the unit upper triangular U with U D U^T = ``damped`` turned about.

    An error e of input i is made up for by input k where U[i, k] e is added to its weight. With the
    inputs in reverse, Cholesky gives L L^T; L turned about is U times the root of the diagonal D.
    """
    lower = lower_factor(damped)
    upper = np.ascontiguousarray(lower[:, ::-1, ::-1])  # matmul is slow on other strides
    del lower
    upper /= np.diagonal(upper, axis1=1, axis2=2)[:, None, :].copy()
    return upper


METHOD = QuantizationMethod(mse.METHOD.ranges, Rounding("gptq", gptq), is_compared=True)
