"""2:4 sparsity: which two of every four weights of a layer stay, and their values then.

The mask is chosen by size, by Wanda (M. Sun et al., "A simple and effective pruning approach for
large language models", ICLR 2024, arXiv 2306.11695) or one input after the other, each error made
up for by the inputs still to come (E. Frantar and D. Alistarh, "SparseGPT: massive language models
can be accurately pruned in one-shot", ICML 2023, arXiv 2301.00774). Whatever chose the mask, the
weights that stay are then those of least squared error under the mask.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...core.graphs.sparsity import KEPT, OF, Axis
from ...core.linear_systems import lower_factor
from ...core.types import Float64

Mask = NDArray[np.bool_]

_STEPS = 64  # of the conjugate gradients; few are needed from a good start
_ENOUGH = 1e-6  # of the right side that may be left


def sparse_mask(
    matrix: Float64, second: Float64, fours: NDArray[np.intp], axis: Axis, criterion: str
) -> Mask:
    """Return a mask (outputs, inputs), True for the two of every four along ``axis`` that stay.

    ``second`` (inputs, inputs) are the second moments of the inputs. ``fours`` (n, 4) are the
    indices that belong together: of outputs or of inputs. ``criterion`` is magnitude, wanda or obs.

    The larger weight is on an input that hardly varies:

    >>> matrix = np.array([[3.0, 2.0, 1.0, 0.5]])
    >>> fours, moments = np.arange(4)[None], np.diag([0.01, 1.0, 1.0, 1.0])
    >>> sparse_mask(matrix, moments, fours, "input", "magnitude").astype(int).tolist()
    [[1, 1, 0, 0]]
    >>> sparse_mask(matrix, moments, fours, "input", "wanda").astype(int).tolist()
    [[0, 1, 1, 0]]
    """
    if criterion == "obs":
        return _sparsegpt_mask(matrix, second, fours, axis)
    scores = np.abs(matrix)
    if criterion == "wanda":
        scores = scores * np.sqrt(np.maximum(np.diag(second), 0.0))
    return _best(scores, fours, axis)


def _best(scores: Float64, fours: NDArray[np.intp], axis: Axis) -> Mask:
    """Return a mask of the two highest scores of every four; the first of equals."""
    rows = scores.T if axis == "output" else scores
    mask = np.zeros(rows.shape, np.bool_)
    grouped = rows[:, fours]  # (others, n, 4)
    order = np.argsort(-grouped, axis=-1, kind="stable")
    is_best = np.zeros(grouped.shape, np.bool_)
    np.put_along_axis(is_best, order[..., :KEPT], True, axis=-1)
    mask[:, fours.ravel()] = is_best.reshape(len(rows), -1)
    return mask.T if axis == "output" else mask


def _sparsegpt_mask(matrix: Float64, second: Float64, fours: NDArray[np.intp], axis: Axis) -> Mask:
    """Return SparseGPT's mask: blocks of four inputs in order, most variance first."""
    variance = np.diag(second)
    blocks = fours if axis == "input" else np.arange(len(variance)).reshape(-1, 1)
    order = blocks[np.argsort(-variance[blocks].sum(axis=1), kind="stable")]
    flat = order.ravel()
    width = order.shape[1]
    upper = lower_factor(np.linalg.inv(second[np.ix_(flat, flat)])).T
    rest = matrix[:, flat].copy()
    mask = np.zeros(rest.shape, np.bool_)
    for start in range(0, rest.shape[1], width):
        stop = start + width
        block, root = rest[:, start:stop], np.diag(upper)[start:stop]
        choice = np.arange(width)[None] if axis == "input" else fours
        mask[:, start:stop] = _best(np.abs(block / root), choice, axis)
        _compensate(rest, upper, ~mask[:, start:stop], start)
    return mask[:, np.argsort(flat)]


def _compensate(rest: Float64, upper: Float64, dropped: Mask, start: int) -> None:
    """Remove the dropped weights of some inputs, and change those that follow to make up."""
    for i in range(dropped.shape[1]):
        at = start + i
        error = rest[:, at] * dropped[:, i] / upper[at, at]
        rest[:, at:] -= np.outer(error, upper[at, at:])


def masked_least_squares(matrix: Float64, second: Float64, mask: Mask) -> Float64:
    """Return the weights, 0 outside of ``mask``, whose outputs are nearest to those of ``matrix``.

    Minimises tr((W - matrix) second (W - matrix)^T) by conjugate gradients, all rows at once. A
    pair of inputs that are always equal: the one that stays takes over the other's part.

    >>> equal = np.array([[1.0, 1.0], [1.0, 1.0]]) + 1e-9 * np.eye(2)
    >>> masked_least_squares(np.array([[2.0, 1.0]]), equal, np.array([[True, False]])).round(3)
    array([[3., 0.]])
    """
    scale = 1 / np.maximum(np.diag(second), 1e-30)  # Jacobi
    weights = matrix * mask
    residual = ((matrix - weights) @ second) * mask
    limit = _ENOUGH * np.sqrt(np.sum(((matrix @ second) * mask) ** 2, axis=1, keepdims=True))
    scaled = direction = residual * scale
    for _ in range(_STEPS):
        if (np.sqrt(np.sum(residual * residual, axis=1, keepdims=True)) <= limit).all():
            break
        change = (direction @ second) * mask
        size = np.sum(residual * scaled, axis=1, keepdims=True)
        step = size / np.maximum(np.sum(direction * change, axis=1, keepdims=True), 1e-300)
        weights = weights + step * direction
        residual = residual - step * change
        scaled = residual * scale
        direction = scaled + direction * (
            np.sum(residual * scaled, axis=1, keepdims=True) / np.maximum(size, 1e-300)
        )
    return weights


def lost_power(matrix: Float64, other: Float64, second: Float64) -> float:
    """Return the part of all outputs' power that is lost by changing a matrix to ``other``."""
    lost = matrix - other
    whole = float(np.sum((matrix @ second) * matrix))
    return float(np.sum((lost @ second) * lost)) / whole if whole > 0 else 0.0


def fours_of(channels: int, taps: int, axis: Axis) -> NDArray[np.intp]:
    """Return the rows or columns of a matrix that are neighbours along its channels: (n, 4).

    Outputs are the rows themselves; inputs come channel by channel, each with all its taps.

    >>> fours_of(8, 2, "input")[:2].tolist()
    [[0, 2, 4, 6], [1, 3, 5, 7]]
    """
    if axis == "output":
        return np.arange(channels).reshape(-1, OF)
    every = np.arange(channels * taps).reshape(-1, OF, taps)
    return np.ascontiguousarray(every.transpose(0, 2, 1).reshape(-1, OF))
