"""Which samples changed from one model to the other, and the worst of them."""

from __future__ import annotations

import numpy as np

from ..calibration_data.sources.labels import Labels
from ..core.results.sample_rows import ChangedSample, ChangedSamples
from .metrics.measurement import Measurement
from .metrics.metric import Metric, Predictions

# so many of the worst are described
WORST = 20


def changes_of(
    metric: Metric,
    measured: tuple[Measurement, Measurement],
    predictions: tuple[Predictions, Predictions],
    labels: Labels,
    worst: int = WORST,
) -> ChangedSamples:
    """Return what changed from a baseline's scores to a candidate's; ties are in sample order.

    The samples are named by their indices, as their own names are not known here.
    """
    change = measured[1].scores - measured[0].scores
    if metric.lower_is_better:
        change = -change
    lost, gained = np.flatnonzero(change < 0), np.flatnonzero(change > 0)
    order = lost[np.argsort(change[lost], kind="stable")][:worst]
    examples = tuple(
        ChangedSample(
            str(index),
            index,
            metric.truth(labels, index),
            metric.shown(predictions[0][index], labels),
            metric.shown(predictions[1][index], labels),
            float(measured[0].scores[index]),
            float(measured[1].scores[index]),
        )
        for index in map(int, order)
    )
    return ChangedSamples(tuple(map(int, lost)), tuple(map(int, gained)), examples)
