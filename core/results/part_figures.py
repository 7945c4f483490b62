"""How close each part of the outputs stays to the baseline's, and whether it is alive."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# a part whose variance is less than this share of the baseline's says nothing any more
LEAST_VARIANCE = 0.01


@dataclass(frozen=True)
class PartFigure:
    """One part of an output: what was joined before it, or all of it.

    ``sqnr_db`` is over all samples. ``variance_ratio`` is the variance of the result over that of
    the baseline, from value to value or from sample to sample, whichever is less; None where the
    baseline hardly varies either. ``distinct_db`` is as the SQNR, but its signal is only what
    differs from sample to sample; None where that is hardly anything. ``finite`` is whether the
    result is so wherever the baseline is. ``ranked`` values are in an order that depends on
    them, so their SQNR is not judged. ``median_sqnr_db`` is the median of the SQNR that each
    sample has on its own, where some are so loud that ``sqnr_db`` is theirs alone; else None.
    """

    output: str
    part: str
    values: int
    sqnr_db: float
    variance_ratio: float | None
    finite: bool
    ranked: bool = False
    distinct_db: float | None = None
    median_sqnr_db: float | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it still varies as the baseline does, and is finite."""
        constant = self.variance_ratio is not None and self.variance_ratio < LEAST_VARIANCE
        return self.finite and not constant

    @property
    def is_judged(self) -> bool:
        """Whether its SQNR says something: it varies in the baseline, and is in an order."""
        return self.variance_ratio is not None and not self.ranked

    @property
    def is_of_median(self) -> bool:
        """Whether the median sample is farther off than all samples together."""
        return self.median_sqnr_db is not None and self.median_sqnr_db < self.sqnr_db

    @property
    def closeness_db(self) -> float:
        """What is judged: the SQNR of all samples, or of the median one where that is less."""
        median = self.median_sqnr_db
        return self.sqnr_db if median is None else min(self.sqnr_db, median)


def farthest_part(parts: Iterable[PartFigure]) -> PartFigure:
    """Return the part that is judged: as the worst one, but by the lowest closeness."""
    return min(parts, key=lambda part: (not part.is_judged, part.closeness_db))


def worst_part(parts: Iterable[PartFigure]) -> PartFigure:
    """Return the part whose figure counts: the lowest SQNR of those that say something, if any."""
    judged = sorted(parts, key=lambda part: (not part.is_judged, part.sqnr_db))
    return judged[0]
