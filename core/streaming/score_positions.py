"""Where the last layer before scores is fitted: mostly where something may be found.

A detector finds nothing nearly everywhere. Least squares over all positions alike make the logits
good there, and too small where something is found, which is rare; yet where there is nothing they
may be off by much, as the score is 0 all the same. So positions are drawn by the score that the
float network gives them, as importance sampling does (R. Rubinstein and D. Kroese, "Simulation and
the Monte Carlo Method", 2016, section 5.7), but for the error of scores and not of logits: what is
drawn more often counts more.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ..types import Array, Float64

_POSITIONS = 256  # of a sample on average, more where its scores are high
_LEAST = 1e-3  # a score that every position is taken to have at least
_LOWEST = -50.0  # a logit: what it adds to _LEAST is nothing


def positions_by_score(
    logits: Iterable[Array], random: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Return the flat positions of each sample to fit to, one drawn several times as often there.

    ``logits`` are the float network's, (..., positions) of each sample; they are read twice, one
    sample in memory at a time. A position counts by the highest of its scores. All samples together
    get so many a sample, each at least one.

    >>> logits = np.full((1, 100), -9.0)
    >>> logits[0, 7] = 0.0
    >>> (drawn,) = positions_by_score([logits], np.random.default_rng(0))
    >>> len(drawn), int((drawn == 7).sum()) > 80
    (100, True)
    """
    totals, most = [], 0
    for each in logits:
        totals.append(_weights(each).sum())
        most += min(each.shape[-1], _POSITIONS)
    scale, drawn, reached = most / sum(totals), [], random.random()
    for each, total in zip(logits, totals, strict=True):
        weights = _weights(each)
        ends = np.floor(reached + scale * np.cumsum(weights)).astype(np.int64)
        times = np.diff(ends, prepend=int(reached))
        reached += scale * total
        places = np.repeat(np.arange(len(times)), times)
        drawn.append(places if len(places) else np.asarray([weights.argmax()]))
    return drawn


def _weights(logits: Array) -> Float64:
    """Return what every position counts, (positions,)."""
    highest = logits.reshape(-1, logits.shape[-1]).max(axis=0).astype(np.float64)
    highest = np.maximum(highest, _LOWEST)
    return np.asarray(1 / (1 + np.exp(-highest)) + _LEAST)
