from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from rockpress.accuracy.retention import Retention, retention, too_few_samples
from rockpress.core.errors import OptionError, SamplesError

PAIRS = np.array([(1, 1), (1, 0), (0, 1), (0, 0)], dtype=np.float64)


def binary_pairs(count: int, shares: list[float], seed: int) -> NDArray[Any]:
    """Scores (count, 2) of a baseline and a candidate, with the given shares of PAIRS."""
    chosen = np.random.default_rng(seed).choice(4, count, p=shares)
    return np.asarray(PAIRS[chosen])


def test_it_is_the_ratio_of_the_means() -> None:
    baseline = np.array([1.0] * 80 + [0.0] * 20)
    candidate = np.array([1.0] * 76 + [0.0] * 24)
    result = retention(baseline, candidate)
    assert result.value == pytest.approx(0.95)
    assert result.difference == pytest.approx(-0.04)
    assert result.samples == 100
    assert result.low is not None and result.high is not None
    assert 0.87 < result.low < 0.95 < result.high <= 1


def test_lower_is_better_inverts_the_ratio() -> None:
    generator = np.random.default_rng(0)
    baseline = generator.uniform(1, 2, 300)
    result = retention(baseline, baseline * 1.25, lower_is_better=True)
    for number in (result.value, result.low, result.high):
        assert number == pytest.approx(0.8)
    assert result.difference > 0


@pytest.mark.parametrize("lower_is_better", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_identical_scores_give_exactly_1(lower_is_better: bool, seed: int) -> None:
    scores = np.random.default_rng(seed).random(777)
    result = retention(scores, scores.copy(), lower_is_better=lower_is_better)
    assert (result.value, result.low, result.high, result.difference) == (1.0, 1.0, 1.0, 0.0)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    shares = [0.88, 0.04, 0.02, 0.06]
    truth = (shares[0] + shares[2]) / (shares[0] + shares[1])
    trials = 300
    covered = 0
    for seed in range(trials):
        pairs = binary_pairs(500, shares, seed)
        result = retention(pairs[:, 0], pairs[:, 1], seed=seed)
        assert result.low is not None and result.high is not None
        covered += result.low <= truth <= result.high
    # three standard errors of a share of 0.95 in 300 trials are 0.038
    assert abs(covered / trials - 0.95) < 0.038


def test_both_ways_of_drawing_give_one_interval() -> None:
    generator = np.random.default_rng(3)
    baseline = generator.uniform(0.5, 1.0, 400)
    candidate = baseline * generator.uniform(0.8, 1.0, 400)
    drawn = retention(baseline, candidate)  # 400 distinct pairs: samples are drawn
    rounded = [np.asarray(np.round(one, 1), np.float64) for one in (baseline, candidate)]
    counted = retention(rounded[0], rounded[1])  # few distinct pairs: counts are drawn
    assert drawn.low == pytest.approx(counted.low, abs=0.01)
    assert drawn.high == pytest.approx(counted.high, abs=0.01)
    ratio = np.log(candidate) - np.log(baseline)
    assert drawn.high is not None and drawn.low is not None
    assert drawn.high - drawn.low == pytest.approx(3.92 * ratio.std() / 20, rel=0.3)


def test_pairing_narrows_the_interval() -> None:
    pairs = binary_pairs(500, [0.69, 0.01, 0.0, 0.30], 0)
    paired = retention(pairs[:, 0], pairs[:, 1])
    shuffled = retention(pairs[:, 0], np.random.default_rng(1).permutation(pairs[:, 1]))
    assert paired.high is not None and paired.low is not None
    assert shuffled.high is not None and shuffled.low is not None
    assert paired.value == pytest.approx(shuffled.value)
    assert (paired.high - paired.low) * 3 < shuffled.high - shuffled.low


def test_more_confidence_is_a_wider_interval_and_a_seed_repeats_it() -> None:
    pairs = binary_pairs(200, [0.7, 0.1, 0.05, 0.15], 0)
    narrow = retention(pairs[:, 0], pairs[:, 1], confidence=0.8)
    wide = retention(pairs[:, 0], pairs[:, 1], confidence=0.99)
    assert wide.low is not None and narrow.low is not None
    assert narrow.high is not None and wide.high is not None
    assert wide.low < narrow.low and narrow.high < wide.high
    assert narrow == retention(pairs[:, 0], pairs[:, 1], confidence=0.8)
    assert narrow != retention(pairs[:, 0], pairs[:, 1], confidence=0.8, seed=1)


@pytest.mark.parametrize(
    ("baseline", "candidate", "lower_is_better"),
    [
        ([0.0, 0.0], [1.0, 0.0], False),
        ([-1.0, 0.5], [1.0, 0.0], False),
        ([0.0, 0.0], [0.5, 0.0], True),
        ([0.5, 0.5], [0.0, 0.0], True),
        ([0.0, 0.0], [0.0, 0.0], False),
    ],
)
def test_without_a_positive_denominator_only_the_difference_is_given(
    baseline: Any, candidate: Any, lower_is_better: bool
) -> None:
    result = retention(np.array(baseline), np.array(candidate), lower_is_better=lower_is_better)
    assert (result.value, result.low, result.high) == (None, None, None)
    assert result.difference == np.mean(candidate) - np.mean(baseline)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(scores=hnp.arrays(np.float64, (25, 2), elements=st.sampled_from([0.0, 0.5, 1.0])))
def test_the_value_lies_in_its_interval_and_neither_is_negative(scores: NDArray[Any]) -> None:
    result = retention(scores[:, 0], scores[:, 1])
    if result.value is None:
        assert scores[:, 0].mean() == 0
        return
    assert result.low is not None and result.high is not None
    assert 0 <= result.low <= result.high
    assert result.value <= 25 / 0.5
    assert result.low - 1e-9 <= result.value <= result.high + 1e-9


@pytest.mark.parametrize(
    ("baseline", "candidate", "message"),
    [
        ([], [], r"shapes \(0,\) and \(0,\) cannot be paired"),
        ([1.0], [1.0, 1.0], r"shapes \(1,\) and \(2,\) cannot be paired"),
        ([[1.0]], [[1.0]], r"shapes \(1, 1\)"),
        ([1.0, np.nan], [1.0, 1.0], "NaN or infinite"),
        ([1.0, 1.0], [1.0, np.inf], "NaN or infinite"),
    ],
)
def test_scores_must_be_pairs_of_numbers(baseline: Any, candidate: Any, message: str) -> None:
    with pytest.raises(SamplesError, match=message):
        retention(np.array(baseline), np.array(candidate))


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_the_confidence_is_a_share(confidence: float) -> None:
    with pytest.raises(OptionError, match="is not between 0 and 1"):
        retention(np.ones(3), np.ones(3), confidence=confidence)


@pytest.mark.parametrize(
    ("result", "limit", "told"),
    [
        (Retention(0.985, 0.97, 0.995, 300, -0.01), 0.98, False),
        (Retention(0.985, 0.981, 0.99, 300, -0.01), 0.98, True),
        (Retention(0.96, 0.95, 0.975, 300, -0.01), 0.98, True),
        (Retention(None, None, None, 300, -0.01), 0.98, True),
        # not one sample differs: at most 3/N do
        (Retention(1.0, 1.0, 1.0, 20, 0.0), 0.98, False),
        (Retention(1.0, 1.0, 1.0, 1000, 0.0), 0.98, True),
    ],
)
def test_too_few_samples_to_tell_is_said(result: Retention, limit: float, told: bool) -> None:
    text = too_few_samples(result, limit)
    assert (text is None) == told
    if text is not None:
        assert text.startswith(f"{result.samples} samples are too few to tell")
