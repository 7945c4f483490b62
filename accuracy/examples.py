"""Which samples changed from one model to the other, and the worst of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..calibration_data.sources.labels import Labels
from .metrics.measurement import Measurement
from .metrics.metric import Metric, Predictions

# so many of the worst are described
WORST = 20


@dataclass(frozen=True)
class Example:
    """One sample that the candidate does worse: its label, both predictions, both scores."""

    index: int
    label: str
    baseline: str
    candidate: str
    baseline_score: float
    candidate_score: float


@dataclass(frozen=True)
class Changes:
    """Indices of the samples that the candidate does worse and better, and the worst first."""

    lost: tuple[int, ...]
    gained: tuple[int, ...]
    worst: tuple[Example, ...]


def changes_of(
    metric: Metric,
    measured: tuple[Measurement, Measurement],
    predictions: tuple[Predictions, Predictions],
    labels: Labels,
    worst: int = WORST,
) -> Changes:
    """Return what changed from a baseline's scores to a candidate's; ties are in sample order."""
    change = measured[1].scores - measured[0].scores
    if metric.lower_is_better:
        change = -change
    lost, gained = np.flatnonzero(change < 0), np.flatnonzero(change > 0)
    order = lost[np.argsort(change[lost], kind="stable")][:worst]
    examples = tuple(
        Example(
            index,
            metric.truth(labels, index),
            metric.shown(predictions[0][index], labels),
            metric.shown(predictions[1][index], labels),
            float(measured[0].scores[index]),
            float(measured[1].scores[index]),
        )
        for index in map(int, order)
    )
    return Changes(tuple(map(int, lost)), tuple(map(int, gained)), examples)
