"""Bands from errors on families left out, every family with the same weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .joint import Array

Errors = Mapping[str, Sequence[Array]]  # by family, then chip: log(estimate / published)
COVERAGE = 0.9
SMALL_MS = 5.0


def shipped_bands(errors: Errors, sizes: Mapping[str, Sequence[Array]]) -> tuple[float, float]:
    """Return the factor that holds 90 % of the times of 5 ms and more, and that of the shorter.

    ``sizes`` are the published milliseconds. The short ones are too few for a quantile, so that of
    theirs is the largest error.
    """
    usual: dict[str, Array] = {}
    small = [0.0]
    for family, by_chip in errors.items():
        logs, ms = np.concatenate(list(by_chip)), np.concatenate(list(sizes[family]))
        short = ms * np.exp(logs) < SMALL_MS
        usual[family] = np.abs(logs[~short])
        small.extend(np.abs(logs[short]))
    wide = weighted_quantile(list(usual.values()))
    return float(np.exp(wide)), float(np.exp(max(wide, *small)))


def weighted_quantile(groups: Sequence[Array], share: float = COVERAGE) -> float:
    """Return the least value that covers ``share`` of the groups' values, each group counted once.

    >>> weighted_quantile([np.array([1.0]), np.array([2.0, 3.0, 4.0])], 0.5)
    1.0
    """
    filled = [group for group in groups if len(group)]
    values = np.concatenate(filled)
    weights = np.concatenate([np.full(len(group), 1 / len(group)) for group in filled])
    order = np.argsort(values)
    covered = np.cumsum(weights[order]) / len(filled)
    index = int(np.searchsorted(covered, share - 1e-9))
    return float(values[order][min(index, len(values) - 1)])
