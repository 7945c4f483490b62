"""Intervals where the samples show no spread: what so many of them may not have shown."""

from __future__ import annotations

import math

import numpy as np

from ...core.proportion import Interval, unseen_share
from ..metrics.measurement import Measurement

Ends = tuple[float | None, float | None]

# of the metric: what sums in another order may differ by
_ROUNDING = 1e-12


def alike_samples(
    baseline: Measurement, candidate: Measurement, difference: Ends, lower_is_better: bool
) -> int:
    """Return how many samples could have shown a difference, where none does; else 0.

    ``difference`` is the bootstrap's interval: without a width it has seen none, or one sample
    again and again. Those that the baseline scores nothing on have nothing to lose.
    """
    count = len(baseline.scores)
    low, high = difference
    if low is None or high is None or (count > 1 and candidate.value != baseline.value):
        return 0
    if high - low > _ROUNDING * max(1.0, abs(baseline.value)):
        return 0
    return count if lower_is_better else int(np.count_nonzero(baseline.scores)) or count


def widened_ratio(value: float, alike: int, z: float) -> Interval:
    """Return between what a ratio lies that so many samples show no spread of.

    The share of others that may differ (``unseen_share``) is taken to be like the rest, and to lose
    or to gain all.

    >>> low, high = widened_ratio(1.0, 12, 1.96)
    >>> round(low, 3), round(high, 3)
    (0.757, 1.32)
    """
    alike_share = 1 - unseen_share(alike, z)
    return value * alike_share, value / alike_share


def widened_difference(baseline: float, difference: float, alike: int, z: float) -> Ends:
    """Return the same of a difference; None where the baseline is 0, which has no scale."""
    half = abs(baseline) * unseen_share(alike, z)
    return (difference - half, difference + half) if half else (None, None)


def widened_metric(value: float, ends: Interval | None, samples: int, z: float) -> Interval | None:
    """Return the interval of one model's metric, with a width where all samples score the same.

    A metric of at most 1 is taken to be one that ends there; at 0 nothing tells how far it goes.
    """
    if ends is None or not math.isclose(*ends, rel_tol=_ROUNDING, abs_tol=_ROUNDING):
        return ends
    half = abs(value) * unseen_share(samples, z)
    return (value - half, min(value + half, max(value, 1.0))) if half else None
