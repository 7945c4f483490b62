"""Does a model know anything of the labels? A permutation test for any metric of single samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .metrics import METRICS, Array, Metric, score_samples

_PERMUTATIONS = 199
_LEVEL = 0.01
_LEAST = 8  # samples; fewer can be right in any order too often


def is_no_better_than_chance(
    metric: Metric, outputs: Sequence[Array], labels: NDArray[np.int64]
) -> bool:
    """Whether shuffled labels score as high in more than one of a hundred shuffles (199, seeded).

    False where that cannot be told: for fewer than eight samples, labels that are all the same, and
    a user's own metric, which may take long. Source: Fisher, The Design of Experiments, 1935,
    section 21.

    >>> outputs = [np.eye(3)[np.arange(30) % 3]]
    >>> is_no_better_than_chance(METRICS["top1"], outputs, np.arange(30) % 3)
    False
    >>> is_no_better_than_chance(METRICS["top1"], outputs, np.arange(30) // 10)
    True
    """
    if metric.name not in METRICS or len(labels) < _LEAST or len(np.unique(labels)) < 2:
        return False
    sign = -1 if metric.lower_is_better else 1
    seen = sign * score_samples(metric, outputs, labels).mean()
    random = np.random.default_rng(0)
    shuffled = (random.permutation(labels) for _ in range(_PERMUTATIONS))
    as_high = sum(
        sign * score_samples(metric, outputs, one).mean() >= seen - 1e-12 for one in shuffled
    )
    return bool((1 + as_high) / (1 + _PERMUTATIONS) > _LEVEL)
