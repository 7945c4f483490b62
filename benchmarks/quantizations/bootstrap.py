"""How sure a difference in noise is: a paired bootstrap over the test samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_DRAWS, _SEED = 4000, 7
_EDGES = (2.5, 97.5)  # per cent
_MOST_DB = 120.0  # a sample without any noise counts as this


@dataclass(frozen=True)
class Difference:
    """In dB, positive when the first one is closer; each with a 95 % interval.

    ``total`` compares the noise of all samples together, ``mean`` is the mean over samples of the
    difference of their SQNR.
    """

    total: float
    total_interval: tuple[float, float]
    mean: float
    mean_interval: tuple[float, float]


def difference(
    signal: Sequence[float],
    noise: Sequence[float],
    other_noise: Sequence[float],
    sources: Sequence[str],
) -> Difference:
    """Return the difference of two methods on the same samples, with its interval.

    Samples of one source are drawn together: two crops of one photograph tell less than two
    photographs.
    """
    member = np.unique(np.asarray(sources), return_inverse=True)[1]
    ours, theirs = np.asarray(noise, np.float64), np.asarray(other_noise, np.float64)
    single = _sqnr(signal, ours) - _sqnr(signal, theirs)
    sums = np.stack(
        [np.bincount(member, weights) for weights in (ours, theirs, single, ours * 0 + 1)]
    )
    drawn = np.random.default_rng(_SEED).integers(sums.shape[1], size=(_DRAWS, sums.shape[1]))
    draws = sums[:, drawn].sum(axis=2)
    total, mean = _decibels(sums.sum(axis=1)), _mean(sums.sum(axis=1))
    return Difference(
        float(total), _interval(_decibels(draws)), float(mean), _interval(_mean(draws))
    )


def _sqnr(signal: Sequence[float], noise: Array) -> Array:
    power = np.asarray(signal, np.float64)
    least = power * 10 ** (-_MOST_DB / 10)
    decibels: Array = 10 * np.log10(power / np.maximum(noise, least))
    return decibels


def _decibels(sums: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        decibels: Array = 10 * np.log10(sums[1] / sums[0])
    return decibels


def _mean(sums: Array) -> Array:
    means: Array = sums[2] / sums[3]
    return means


def _interval(draws: Array) -> tuple[float, float]:
    low, high = np.percentile(draws, _EDGES)
    return float(low), float(high)
