"""What is said of outputs of which a few samples are far louder than the others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rockpress.core.graphs.output_parts import OutputPart
from rockpress.core.results.part_figures import PartFigure, farthest_part, worst_part
from rockpress.core.streaming.part_similarity import compared
from rockpress.core.types import Array

STEP = 1.0  # of what a candidate is rounded to
USUAL = 0.3  # a deviation of which nothing is left then


def figure_of(reference: Array, candidate: Array, least_range: float = 0.0) -> PartFigure:
    part = OutputPart(("y",), 0, "y", least_range=least_range)
    (figure,) = compared([part], [reference], [candidate])
    return figure


def samples_of(count: int, loud: int, *, by: float = 1000.0, values: int = 10) -> Array:
    """Return samples of which the first are so many times louder."""
    samples = USUAL * np.random.default_rng(0).uniform(-1, 1, (count, values))
    samples[:loud] *= by
    return samples


def rounded(values: Array) -> Array:
    steps: Array = np.rint(values / STEP)
    return STEP * steps


@pytest.mark.parametrize(("count", "loud"), [(5, 1), (40, 1), (80, 10), (80, 40)])
@pytest.mark.parametrize("by", [1e3, 1e20])
def test_loud_samples_do_not_hide_that_nothing_is_left_of_the_others(
    count: int, loud: int, by: float
) -> None:
    samples = samples_of(count, loud, by=by)
    figure = figure_of(samples, rounded(samples))
    assert figure.sqnr_db > 40, "it is still that of all samples"
    assert figure.median_sqnr_db == 0 == figure.closeness_db
    assert figure.is_judged and figure.is_alive and figure.is_of_median


def test_loud_samples_alone_are_no_harm() -> None:
    samples = samples_of(40, 1)
    near = figure_of(samples, samples * 1.001)
    assert near.sqnr_db == pytest.approx(60) == near.median_sqnr_db
    same = figure_of(samples, samples)
    assert same.median_sqnr_db == np.inf and not same.is_of_median


def test_it_takes_five_samples_and_four_values() -> None:
    for samples in (samples_of(4, 1), samples_of(40, 1, values=3)):
        assert figure_of(samples, rounded(samples)).median_sqnr_db is None
    samples = samples_of(5, 1, values=4)
    assert figure_of(samples, rounded(samples)).median_sqnr_db == 0


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.sampled_from(["normal", "laplace", "logistic"]))
def test_noise_that_is_the_same_in_all_samples_is_judged_together(seed: int, kind: str) -> None:
    random = np.random.default_rng(seed)
    signal = getattr(random, kind)(size=(64, 1)) * random.standard_normal((64, 12))
    figure = figure_of(signal, signal + 0.1 * random.standard_normal(signal.shape))
    assert figure.closeness_db == figure.sqnr_db or figure.closeness_db > 3


@pytest.mark.parametrize("least_range", [0.0, 1 / 255])
def test_a_detector_most_of_whose_frames_show_nothing(least_range: float) -> None:
    scores = 1e-3 * np.random.default_rng(0).uniform(0, 1, (40, 400))
    scores[:4, :9] = 0.9
    figure = figure_of(scores, np.rint(scores * 255) / 255, least_range)
    assert figure.sqnr_db > 20 and figure.median_sqnr_db is None


def test_maps_that_are_mostly_zeros_show_nothing() -> None:
    density = np.zeros((40, 400))
    density[:, :9] = 0.01
    density[:6] = np.random.default_rng(0).uniform(0, 50, (6, 400))
    figure = figure_of(density, rounded(density))
    assert figure.sqnr_db > 30 and figure.median_sqnr_db is None
    zeros = np.zeros_like(samples_of(40, 1))
    zeros[0] = 300
    assert figure_of(zeros, rounded(zeros + 0.6)).median_sqnr_db is None


def test_one_hot_outputs_have_no_loud_samples() -> None:
    hot = np.eye(10)[np.arange(40) % 10]
    assert figure_of(hot, np.full_like(hot, 0.1)).median_sqnr_db is None
    assert figure_of(8 * hot - 4, 7 * hot).median_sqnr_db is None


def test_what_is_judged_is_the_part_that_is_farthest_off() -> None:
    hidden = PartFigure("y", "a", 9, 41.0, 1.0, True, median_sqnr_db=0.5)
    poor = PartFigure("y", "b", 9, 20.0, 1.0, True)
    unjudged = PartFigure("y", "c", 9, -5.0, None, True)
    assert farthest_part([poor, unjudged, hidden]) is hidden
    assert worst_part([hidden, unjudged, poor]) is poor
