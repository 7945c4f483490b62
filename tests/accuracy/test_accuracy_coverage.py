"""Does an interval of average precision, which is no mean over images, hold the truth?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rockpress.accuracy.metrics.average_precision import AveragePrecision
from rockpress.accuracy.metrics.detections import Detections
from rockpress.accuracy.retention import _corrected, retention_and_intervals
from rockpress.calibration_data.sources.boxes import Boxes

Image = tuple[Boxes, Detections, Detections]
THRESHOLDS = np.array([0.5, 0.75])
POPULATION, SAMPLE, TRIALS = 2000, 100, 300


def image(random: np.random.Generator) -> Image:
    """One to three objects of two classes, some hard, as two detectors of unlike skill see them."""
    count = int(random.integers(1, 4))
    corner, size = random.uniform(0, 200, (count, 2)), random.uniform(20, 60, (count, 2))
    corners = np.concatenate([corner, corner + size], axis=1)
    classes = random.integers(0, 2, count)
    off = random.normal(0, random.uniform(2, 7), (count, 4))  # the same for both
    seen = random.uniform(size=count) > 0.1

    def detections(worse: float) -> Detections:
        kept = seen & (random.uniform(size=count) > worse / 60)
        wrong = int(random.poisson(0.5))
        places = random.uniform(0, 200, (wrong, 2))
        boxes = (corners + off + random.normal(0, worse, (count, 4)))[kept]
        found = np.concatenate([boxes, np.concatenate([places, places + 40], axis=1)])
        scores = np.concatenate([random.beta(5, 2, count)[kept], random.beta(2, 5, wrong)])
        labels = np.concatenate([classes[kept], random.integers(0, 2, wrong)])
        order = np.argsort(-scores)
        return Detections(found[order], scores[order], labels[order])

    there = Boxes(corners, classes, np.zeros(count, bool), size.prod(axis=1))
    return there, detections(0.5), detections(2.0)


def measured(images: list[Image], which: int) -> AveragePrecision:
    found: list[Any] = [one[which] for one in images]
    return AveragePrecision(found, [one[0] for one in images], THRESHOLDS, resamples=500)


@pytest.mark.soak
def test_intervals_of_average_precision_cover_the_truth() -> None:
    random = np.random.default_rng(0)
    population = [image(random) for _ in range(POPULATION)]
    first, second = (measured(population, which).value for which in (1, 2))
    held: NDArray[Any] = np.zeros(4)
    for seed in range(TRIALS):
        drawn = [population[index] for index in random.integers(0, POPULATION, SAMPLE)]
        kept, own = retention_and_intervals(measured(drawn, 1), measured(drawn, 2), seed=seed)
        assert kept.low is not None and kept.high is not None
        assert kept.difference_low is not None and kept.difference_high is not None
        assert own[0] is not None and own[1] is not None
        held += (
            kept.low <= second / first <= kept.high,
            kept.difference_low <= second - first <= kept.difference_high,
            own[0][0] <= first <= own[0][1],
            own[1][0] <= second <= own[1][1],
        )
    error = 3 * np.sqrt(0.95 * 0.05 / TRIALS)
    ratio, difference, *single = held / TRIALS
    assert min(ratio, difference) > 0.95 - error
    # mAP of 100 images is larger than that of all, by half a standard error here
    assert min(single) > 0.89 - error


def test_an_interval_moves_as_far_as_the_estimate_is_from_the_middle() -> None:
    values = np.random.default_rng(0).normal(size=100_000)
    np.testing.assert_allclose(_corrected(values, 0.0, 1.96) or (), (-1.96, 1.96), atol=0.04)
    # an estimate half a standard deviation below the middle was drawn from a truth that is lower
    np.testing.assert_allclose(_corrected(values, -0.5, 1.96) or (), (-2.96, 0.96), atol=0.06)
    assert _corrected(np.array([np.nan]), 0.0, 1.96) is None
