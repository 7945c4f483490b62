"""What labels in any order would score, which is what a model that is fed wrongly scores too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...calibration_data.sources.labels import Labels
from ...core.types import Array
from ..metrics.classification import TopK
from ..metrics.metric_table import BoundMetric

_PERMUTATIONS = 199
_LEVEL = 0.01  # of the permutation test
_LEAST = 8  # samples; fewer can be right in any order too often
_SHUFFLES = 9  # that the score of labels in any order is the mean of


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
    shuffled = _shuffled_scores(scoring, outputs, labels, _PERMUTATIONS)
    as_high = sum(score >= actual - 1e-12 for score in shuffled)
    return bool((1 + as_high) / (1 + _PERMUTATIONS) > _LEVEL)


def chance_score(scoring: BoundMetric, outputs: Sequence[Array], labels: Labels) -> float | None:
    """Return the mean score with labels in any order (9 shuffles, seeded), by any metric.

    None where it tells nothing: for fewer than eight samples, and labels that are all the same.

    >>> outputs, top1 = [np.eye(10)[np.arange(400) % 10]], BoundMetric(TopK())
    >>> round(chance_score(top1, outputs, Labels("class", np.arange(400) % 10)), 1)
    0.1
    """
    count = len(labels)
    if count < _LEAST or len({labels.digest(index) for index in range(count)}) < 2:
        return None
    return float(np.mean(_shuffled_scores(scoring, outputs, labels, _SHUFFLES)))


def _shuffled_scores(
    scoring: BoundMetric, outputs: Sequence[Array], labels: Labels, count: int
) -> list[float]:
    metric, random = scoring.metric, np.random.default_rng(0)
    predictions = metric.predict(scoring.read(outputs))
    orders = (labels.take(random.permutation(len(labels))) for _ in range(count))
    return [float(metric.measure(predictions, order).scores.mean()) for order in orders]
