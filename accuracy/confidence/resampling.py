"""The paired bootstrap: samples drawn with replacement, each with what both models made of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..metrics.measurement import Measurement, Scores, Sums

# Up to so many distinct rows it is faster to draw how often each one comes.
_FEW_ROWS = 200
# Numbers drawn at once; 32 MB of int64, so that memory does not grow with samples x resamples.
_DRAWN_AT_ONCE = 4_000_000


def resampled_values(measured: Sequence[Measurement], seed: int) -> list[Scores]:
    """Return the values (R,) of several metrics of the same N samples on the same R resamples.

    Where most samples share what they add (right and right), how often each distinct row comes is
    drawn instead, from the multinomial distribution, which is the same and much faster than
    scipy.stats.bootstrap.
    """
    if len(measured) > 1 and all(metric is measured[0] for metric in measured):
        return resampled_values(measured[:1], seed) * len(measured)
    generator = np.random.default_rng(seed)
    resamples = min(metric.resamples for metric in measured)
    sums = [metric for metric in measured if isinstance(metric, Sums)]
    if len(sums) == len(measured):
        rows = np.concatenate([metric.rows for metric in sums], axis=1)
        distinct, counts = np.unique(rows, axis=0, return_counts=True)
        if len(distinct) <= _FEW_ROWS:
            return _from_distinct(sums, distinct, counts, generator, resamples)
    parts = [
        [metric.resampled(counts) for metric in measured]
        for counts in _drawn(len(measured[0].scores), generator, resamples)
    ]
    return [np.concatenate(values) for values in zip(*parts, strict=True)]


def _from_distinct(
    measured: Sequence[Sums],
    distinct: Scores,
    counts: NDArray[Any],
    generator: np.random.Generator,
    resamples: int,
) -> list[Scores]:
    drawn = generator.multinomial(counts.sum(), counts / counts.sum(), resamples) @ distinct
    edges = np.cumsum([metric.rows.shape[1] for metric in measured])[:-1]
    parts = np.split(drawn, edges, axis=1)
    return [metric.of_sums(part) for metric, part in zip(measured, parts, strict=True)]


def _drawn(count: int, generator: np.random.Generator, resamples: int) -> Iterator[NDArray[Any]]:
    """Give how often each of ``count`` samples is in each resample (R, N), some at a time."""
    at_once = max(1, _DRAWN_AT_ONCE // count)
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = generator.integers(0, count, (rows, count))
        drawn += count * np.arange(rows)[:, np.newaxis]
        yield np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
