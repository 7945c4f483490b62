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

from ...core.types import Array, Float64

_POSITIONS = 256  # of a sample on average, more where its scores are high
_LEAST = 1e-3  # a score that every position is taken to have at least
_LOWEST = -50.0  # a logit: what it adds to _LEAST is nothing


def positions_by_score(logits: Iterable[Array], random: np.random.Generator) -> list[Array]:
    """Return the flat positions of each sample to fit to, one drawn several times as often there.

    ``logits`` are the float network's, (outputs, positions) of each sample. A position counts by
    the highest of its scores. All samples together get so many a sample, each at least one.

    >>> logits = np.full((1, 100), -9.0)
    >>> logits[0, 7] = 0.0
    >>> (drawn,) = positions_by_score([logits], np.random.default_rng(0))
    >>> len(drawn), int((drawn == 7).sum()) > 80
    (100, True)
    """
    weights = np.stack([_weights(each) for each in logits])
    count, positions = weights.shape
    most = count * min(positions, _POSITIONS)
    ends = np.floor(np.cumsum(weights) * (most / weights.sum()) + random.random())
    times = np.diff(ends, prepend=0).astype(np.int64).reshape(weights.shape)
    missed = np.flatnonzero(times.sum(axis=1) == 0)
    times[missed, weights[missed].argmax(axis=1)] = 1
    return [np.repeat(np.arange(positions), each) for each in times]


def _weights(logits: Array) -> Float64:
    """Return what every position counts, (positions,)."""
    highest = np.maximum(logits.max(axis=0).astype(np.float64), _LOWEST)
    return np.asarray(1 / (1 + np.exp(-highest)) + _LEAST)
