"""How strongly a layer is held to its weights as they were: chosen on held-out samples.

Least squares with little ridge learns the few scenes of a calibration set by heart, where a layer
has hundreds of inputs whose values hang together; with much of it, less is made up for. What serves
the first layers, with few inputs and many positions, is far too little for the last ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...core.streaming.moments import Moments, pooled
from ...core.types import Float64
from .least_squares import solve

# relative to the mean variance of a layer's inputs
RIDGES = (1e-3, 1e-2, 1e-1, 0.3, 1.0, 3.0)
# one of so many samples is held out; of fewer held out the choice is chance
HELD_OUT_EVERY, HELD_OUT_POSITION, LEAST_HELD_OUT = 4, 3, 8
# so few samples need more than the least; of 5, 16 and 28 of two models this was best, or near it
FEW_RIDGE = 0.1


@dataclass(frozen=True)
class HeldOutMoments:
    """The moments of a layer's inputs and targets: of most samples, and of those held out."""

    fitted: Moments
    held_out: Moments
    samples: int

    @property
    def whole(self) -> Moments:
        """Return those of all samples together."""
        return pooled([self.fitted, self.held_out], centred=False)

    @property
    def can_choose(self) -> bool:
        """Whether so many samples are held out that a choice by them is more than chance."""
        return self.samples >= HELD_OUT_EVERY * LEAST_HELD_OUT


def best_ridge(
    fitted: Moments, held_out: Moments, start: Float64, *, has_bias: bool = True
) -> float:
    """Return the one of RIDGES with which a fit to some samples does best on others.

    >>> import numpy as np
    >>> random = np.random.default_rng(0)
    >>> parts = [Moments(2, 1), Moments(2, 1)]
    >>> for part in parts:
    ...     x = random.standard_normal((50, 2))
    ...     part.add(x, x @ np.array([[1.0], [2.0]]))
    >>> best_ridge(*parts, np.zeros((1, 2)))
    0.001
    """
    errors = {}
    for strength in RIDGES:
        fit = solve(fitted, start, has_bias=has_bias, strength=strength)
        errors[strength] = squared_error(held_out, *fit)
    return min(errors, key=lambda strength: errors[strength])


def chosen_ridge(parts: HeldOutMoments, start: Float64, *, has_bias: bool = True) -> float:
    """Return the best ridge, or FEW_RIDGE where there are too few samples to choose by."""
    if not parts.can_choose:
        return FEW_RIDGE
    return best_ridge(parts.fitted, parts.held_out, start, has_bias=has_bias)


def squared_error(moments: Moments, matrix: Float64, bias: Float64) -> float:
    """Return the mean squared error of a matrix and bias, less the variance of the targets."""
    offset = matrix @ moments.mean_x + bias - moments.mean_y
    spread = ((matrix @ moments.covariance - 2 * moments.cross) * matrix).sum()
    return float(spread + offset @ offset)
