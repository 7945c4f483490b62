"""The result of a metric on N samples: enough to compute it again for any resample of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...core.types import Float64

Scores: TypeAlias = Float64

# Resamples of the bootstrap: the ends of a 95 % interval then rest on 125 resamples each.
RESAMPLES = 5000


class Measurement(Protocol):
    """A metric of N samples.

    ``scores`` (N,) are the single samples' own, in the metric's direction, by which the worst are
    found. ``resampled`` takes how often each sample is drawn, integers (R, N), and gives the
    metric of each of the R resamples, NaN where it is not defined; ``value`` is that of all
    samples once. ``resamples`` is how many of them are worth their time.
    """

    @property
    def scores(self) -> Scores: ...

    @property
    def resamples(self) -> int: ...

    @property
    def value(self) -> float: ...

    def resampled(self, counts: NDArray[Any]) -> Scores: ...


@dataclass(frozen=True, eq=False)
class Sums:
    """A metric that is a formula of sums over the samples: a mean, a ratio, a mean IoU, R2.

    ``rows`` (N, S) are what each sample adds; ``formula`` turns sums (R, S) into values (R,).

    >>> edits, characters = np.array([1.0, 0.0]), np.array([4.0, 6.0])
    >>> Sums(edits / characters, np.stack([edits, characters], 1)).value
    0.1
    """

    scores: Scores
    rows: Scores
    formula: Callable[[Scores], Scores] = lambda sums: sums[:, 0] / sums[:, 1]
    proportion: bool = False
    resamples: int = RESAMPLES

    @property
    def value(self) -> float:
        """The metric of all samples; NaN where it is not defined."""
        return float(self.of_sums(self.rows.sum(axis=0, keepdims=True))[0])

    def resampled(self, counts: NDArray[Any]) -> Scores:
        """Return the metric of each resample (R,), from how often each sample is drawn (R, N)."""
        return self.of_sums(counts.astype(np.float64) @ self.rows)

    def of_sums(self, sums: Scores) -> Scores:
        """Apply the formula to sums (R, S); divisions by zero give NaN."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.formula(sums)


def means(scores: Scores) -> Sums:
    """Return the metric that is the mean of the samples' scores (N,)."""
    scores = np.asarray(scores, dtype=np.float64)
    rows = np.stack([scores, np.ones_like(scores)], axis=1)
    return Sums(scores, rows, proportion=bool(np.isin(scores, (0.0, 1.0)).all()))
