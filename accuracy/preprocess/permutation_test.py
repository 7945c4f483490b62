"""Does a model know anything of the labels? A permutation test for any metric of single samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...calibration_data.sources.labels import Labels
from ...core.types import Array
from ..metrics.classification import TopK
from ..metrics.metric_table import BoundMetric

_PERMUTATIONS = 199
_LEVEL = 0.01
_LEAST = 8  # samples; fewer can be right in any order too often


def is_no_better_than_chance(
    scoring: BoundMetric, outputs: Sequence[Array], labels: Labels
) -> bool:
    """Tell whether shuffled labels score as high in more than 1 % of shuffles (199, seeded).

    False where that cannot be told: for fewer than eight samples, labels that are all the same, and
    metrics other than topK, which may take long. Source: Fisher, The Design of Experiments, 1935,
    section 21.

    >>> outputs, top1 = [np.eye(3)[np.arange(30) % 3]], BoundMetric(TopK())
    >>> is_no_better_than_chance(top1, outputs, Labels("class", np.arange(30) % 3))
    False
    >>> is_no_better_than_chance(top1, outputs, Labels("class", np.arange(30) // 10))
    True
    """
    if not isinstance(scoring.metric, TopK) or len(labels) < _LEAST:
        return False
    classes = labels.classes()
    if len(np.unique(classes)) < 2:
        return False
    actual = scoring.scores(outputs, labels).mean()
    random = np.random.default_rng(0)
    shuffled = (Labels("class", random.permutation(classes)) for _ in range(_PERMUTATIONS))
    as_high = sum(scoring.scores(outputs, order).mean() >= actual - 1e-12 for order in shuffled)
    return bool((1 + as_high) / (1 + _PERMUTATIONS) > _LEVEL)
