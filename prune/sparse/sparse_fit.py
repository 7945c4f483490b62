"""One layer made 2:4 sparse: the axis, the mask, and how strongly what stays is held.

Of the weights that stay each makes up for one that went, so a layer with hundreds of inputs learns
a few samples by heart as it does when channels are cut. How strongly it is held to what it was is
chosen on samples that were held out, as there, and with it the axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...core.graphs.sparsity import Axis
from ...core.streaming.moments import Moments, ridge
from ...core.types import Float64
from ..repair.least_squares import RIDGE, bias_of, second_moments, solve
from ..repair.ridge_choice import FEW_RIDGE, RIDGES, HeldOutMoments, chosen_ridge, squared_error
from .masks import Mask, lost_power, masked_least_squares, sparse_mask

# axis -> the rows or columns that belong together (n, 4)
Fours = Mapping[Axis, NDArray[np.intp]]


class MaskMethod(Protocol):
    """How the mask is chosen, and whether the weights that stay make up for the others."""

    @property
    def criterion(self) -> str:
        """Return magnitude, wanda or obs."""

    @property
    def recover(self) -> str:
        """Return none where nothing is to be made up for."""


@dataclass(frozen=True)
class SparseMatrix:
    """A matrix with zeros along an axis, and the part of its outputs' power that they cost."""

    axis: Axis
    matrix: Float64
    lost: float


def sparse_fit(
    parts: HeldOutMoments, start: Float64, fours: Fours, method: MaskMethod, *, has_bias: bool
) -> tuple[SparseMatrix, Float64 | None]:
    """Return the matrix with zeros that does best, and its bias, None where nothing is repaired.

    With enough samples the axis and the ridge are those that do best on the held-out ones, when
    fitted to the others; with fewer it is FEW_RIDGE, and the axis that loses least of
    ``start`` (outputs, inputs).
    """
    moments = parts.whole
    if method.recover == "none":
        second = ridge(second_moments(moments, has_bias=has_bias), RIDGE)
        return _least_lost(start, second, fours, method.criterion, repairs=False), None
    strength = FEW_RIDGE
    if parts.can_choose:
        axis, strength = _best_on_held_out(parts, start, fours, method.criterion, has_bias)
        fours = {axis: fours[axis]}
    second = ridge(second_moments(moments, has_bias=has_bias), strength)
    dense, _ = solve(moments, start, has_bias=has_bias, strength=strength)
    best = _least_lost(dense, second, fours, method.criterion, repairs=True)
    return best, bias_of(moments, best.matrix, has_bias=has_bias)


def _least_lost(
    dense: Float64, second: Float64, fours: Fours, criterion: str, *, repairs: bool
) -> SparseMatrix:
    """Return the matrix with zeros along the axis that costs least of the outputs' power."""
    choices = []
    for axis, members in fours.items():
        mask = sparse_mask(dense, second, members, axis, criterion)
        sparse = masked_least_squares(dense, second, mask) if repairs else dense * mask
        choices.append(SparseMatrix(axis, sparse, lost_power(dense, sparse, second)))
    return min(choices, key=lambda choice: choice.lost)


def _best_on_held_out(
    parts: HeldOutMoments, start: Float64, fours: Fours, criterion: str, has_bias: bool
) -> tuple[Axis, float]:
    """Return the axis and the ridge with which a fit to most samples does best on the others."""
    fitted = parts.fitted
    strength = chosen_ridge(parts, start, has_bias=has_bias)
    second = ridge(second_moments(fitted, has_bias=has_bias), strength)
    dense, _ = solve(fitted, start, has_bias=has_bias, strength=strength)
    errors = {}
    for axis, members in fours.items():
        mask = sparse_mask(dense, second, members, axis, criterion)
        for tried in RIDGES:
            errors[axis, tried] = _held_out_error(parts, start, mask, tried, has_bias)
    return min(errors, key=lambda choice: errors[choice])


def _held_out_error(
    parts: HeldOutMoments, start: Float64, mask: Mask, strength: float, has_bias: bool
) -> float:
    fitted: Moments = parts.fitted
    second = ridge(second_moments(fitted, has_bias=has_bias), strength)
    dense, _ = solve(fitted, start, has_bias=has_bias, strength=strength)
    sparse = masked_least_squares(dense, second, mask)
    return squared_error(parts.held_out, sparse, bias_of(fitted, sparse, has_bias=has_bias))
