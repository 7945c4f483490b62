from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from rockpress.accuracy.confidence.proportions import sign_test
from rockpress.accuracy.gates import min_retention_gate
from rockpress.accuracy.metrics.measurement import Measurement, Sums, means
from rockpress.accuracy.metrics.metric_names import metric_modules
from rockpress.accuracy.metrics.metric_table import find_metric
from rockpress.accuracy.retention import (
    Retention,
    TooFew,
    retention_and_intervals,
    too_few_samples,
)
from rockpress.core.errors import OptionError, SamplesError
from rockpress.core.proportion import unseen_share

PAIRS = np.array([(1, 1), (1, 0), (0, 1), (0, 0)], dtype=np.float64)


def retention(
    baseline: Measurement | NDArray[Any], candidate: Measurement | NDArray[Any], **options: Any
) -> Retention:
    both = (means(one) if isinstance(one, np.ndarray) else one for one in (baseline, candidate))
    return retention_and_intervals(*both, **options)[0]


def binary_pairs(count: int, shares: list[float], seed: int) -> NDArray[Any]:
    """Scores (count, 2) of a baseline and a candidate, with the given shares of PAIRS."""
    chosen = np.random.default_rng(seed).choice(4, count, p=shares)
    return np.asarray(PAIRS[chosen])


def test_retention_is_the_ratio_of_the_means() -> None:
    baseline = np.array([1.0] * 80 + [0.0] * 20)
    candidate = np.array([1.0] * 76 + [0.0] * 24)
    result = retention(baseline, candidate)
    assert result.value == pytest.approx(0.95)
    assert result.difference == pytest.approx(-0.04)
    assert result.samples == 100
    assert result.low is not None and result.high is not None
    assert 0.87 < result.low < 0.95 < result.high < 1.01
    assert result.difference_low is not None and result.difference_high is not None
    assert result.difference_low < -0.04 < result.difference_high


def test_lower_is_better_inverts_the_ratio() -> None:
    generator = np.random.default_rng(0)
    baseline = generator.uniform(1, 2, 300)
    result = retention(baseline, baseline * 1.25, lower_is_better=True)
    for number in (result.value, result.low, result.high):
        assert number == pytest.approx(0.8)
    assert result.difference > 0


@pytest.mark.parametrize("lower_is_better", [True, False])
@pytest.mark.parametrize("binary", [True, False])
def test_samples_of_which_none_differs_leave_room_for_those_that_were_not_seen(
    lower_is_better: bool, binary: bool
) -> None:
    scores = np.random.default_rng(0).random(777) + 0.01
    scores = np.round(scores) if binary else scores
    result = retention(scores, scores.copy(), lower_is_better=lower_is_better)
    assert (result.value, result.difference) == (1.0, 0.0)
    assert result.alike == (777 if lower_is_better else np.count_nonzero(scores))
    assert result.low is not None
    assert result.low == pytest.approx(1 - unseen_share(result.alike))
    is_bounded = binary and not lower_is_better
    most = 1 / scores.mean() if is_bounded else np.inf
    assert result.high == pytest.approx(min(1 / result.low, most))
    assert result.difference_low is not None and result.difference_high is not None
    assert result.difference_low == pytest.approx(scores.mean() * (result.low - 1))
    most = 1 - scores.mean() if is_bounded else np.inf
    assert result.difference_high == pytest.approx(min(-result.difference_low, most))


@pytest.mark.parametrize("binary", [True, False])
def test_no_interval_goes_beyond_what_a_metric_can_reach(binary: bool) -> None:
    """Of one sample that is right, of samples that all are, and of some that are nearly so."""
    random = np.random.default_rng(0)
    for count in (1, 3, 30):
        for base in (np.ones(count), np.clip(random.normal(0.97, 0.05, count), 0, 1)):
            first = np.round(base) if binary else base
            for second in (first, first * (np.arange(count) > 0)):
                free = retention(first, second)
                result = retention(first, second, perfect=1.0)
                assert free == result if binary else free.low == result.low
                assert result.low is not None and result.high is not None
                assert result.low <= result.high <= 1 / means(first).value
                assert result.difference_high is not None
                assert result.difference_high <= 1 - means(first).value
    alone = retention(np.ones(1), np.ones(1))
    assert alone.low == pytest.approx(0.207, abs=0.001) and alone.high == 1.0
    assert too_few_samples(alone, 1.0) is not None


@pytest.mark.parametrize("name", [name.replace("K", "3") for name in metric_modules()])
def test_a_metric_of_which_more_is_better_says_what_the_most_is(name: str) -> None:
    metric = find_metric(name)
    assert metric.lower_is_better or metric.perfect == 1.0


@pytest.mark.parametrize("lost", [0.01, 0.03, 0.1])
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_that_none_of_the_samples_differs_misleads_no_more_often_than_is_said(
    lost: float, share: float
) -> None:
    """Where a result loses so large a share of what is right, 2.5 % may see nothing of it."""
    samples = 100
    scores = np.zeros(samples)
    scores[: int(share * samples)] = 1.0
    result = retention(scores, scores)
    assert result.low is not None
    unseen = (1 - lost) ** int(share * samples)  # how often not one loss is seen
    assert result.low <= 1 - lost or unseen <= 0.025


def test_what_all_samples_say_alike_has_an_interval_too() -> None:
    """A perfect F1, an error of 0 on every sample, and one sample alone."""
    perfect = Sums(np.ones(12), np.ones((12, 2)))
    result, own = retention_and_intervals(perfect, perfect)
    assert own[0] == own[1] == pytest.approx((1 - unseen_share(12), 1.0))
    assert result.low == pytest.approx(0.758, abs=0.001) and result.alike == 12
    exact = Sums(np.zeros(12), np.stack([np.zeros(12), np.ones(12)], 1))
    result, own = retention_and_intervals(exact, exact, lower_is_better=True)
    assert own == (None, None) and result.value is None
    assert (result.difference, result.difference_low, result.difference_high) == (0.0, None, None)
    alone = retention(np.array([0.8]), np.array([0.6]))
    assert alone.value is not None and alone.low is not None and alone.high is not None
    assert alone.low < 0.2 < alone.value < 3 < alone.high


def test_one_sample_that_differs_gives_the_bootstrap_something_to_see() -> None:
    scores = np.random.default_rng(0).random(50)
    other = scores.copy()
    other[0] /= 2
    assert retention(scores, other).alike == 0


def covered(truth: float, gain: float, draw: Callable[[int], Retention], trials: int) -> Any:
    """How often the intervals of the retention and of the difference hold the truth."""
    results = [draw(seed) for seed in range(trials)]
    ratio = [one.low <= truth <= one.high for one in results]  # type: ignore[operator]
    difference = [
        one.difference_low <= gain <= one.difference_high  # type: ignore[operator]
        for one in results
    ]
    return np.array([np.mean(ratio), np.mean(difference)])


def errors_of(trials: int) -> float:
    """Three standard errors of a share of 0.95 seen in so many trials."""
    return float(3 * np.sqrt(0.95 * 0.05 / trials))


@pytest.mark.parametrize(
    ("samples", "shares", "fewest"),
    [
        (500, [0.85, 0.05, 0.03, 0.07], 0.95),
        (2000, [0.88, 0.02, 0.01, 0.09], 0.95),
        # a handful of samples that differ, where the bootstrap covers 0.66
        (100, [0.89, 0.01, 0.002, 0.098], 0.95),
        (500, [0.895, 0.005, 0.005, 0.095], 0.95),
        (100, [0.995, 0.005, 0.0, 0.0], 0.95),
    ],
)
def test_the_interval_of_right_or_wrong_covers_the_truth_as_often_as_it_says(
    samples: int, shares: list[float], fewest: float
) -> None:
    truth = (shares[0] + shares[2]) / (shares[0] + shares[1])

    def draw(seed: int) -> Retention:
        pairs = binary_pairs(samples, shares, seed)
        return retention(pairs[:, 0], pairs[:, 1])

    trials = 400
    found = covered(truth, shares[2] - shares[1], draw, trials)
    assert (found > fewest - errors_of(trials)).all()
    if samples * (shares[1] + shares[2]) > 20:  # few that differ: rather too wide than too narrow
        assert (found < 0.95 + errors_of(trials)).all()


@pytest.mark.parametrize("form", ["mean", "ratio of sums", "error, lower is better"])
def test_the_bootstrap_covers_the_truth_as_often_as_it_says(form: str) -> None:
    """Scores from distributions whose means are known; the length of a line is one of 5 to 15."""

    def few(scores: NDArray[Any]) -> Sums:
        return replace(means(scores), resamples=599)

    def draw(seed: int) -> Retention:
        random = np.random.default_rng(seed)
        first = random.beta(8, 2, 50)
        second = first * random.beta(18, 2, 50)
        if form == "mean":
            return retention(few(first), few(second), seed=seed)
        if form == "ratio of sums":
            length = random.integers(5, 16, 50).astype(float)
            both = [
                Sums(one, np.stack([one * length, length], 1), resamples=599)
                for one in (first, second)
            ]
            return retention(*both, seed=seed)
        return retention(few(second), few(first), lower_is_better=True, seed=seed)

    trials = 100
    truth, gain = 0.9, -0.08
    if form.startswith("error"):
        truth, gain = 0.9, 0.08
    found = covered(truth, gain, draw, trials)
    assert (abs(found - 0.95) < errors_of(trials)).all()


def test_mcnemar_is_the_exact_sign_test() -> None:
    for first, second in ((0, 0), (0, 1), (3, 9), (20, 10), (700, 640)):
        both = first + second
        tail = sum(comb(both, place) for place in range(min(first, second) + 1))
        expected = min(1.0, float(Fraction(2 * tail, 2**both)))
        found = sign_test(first, second)
        assert found == pytest.approx(expected, rel=1e-6)


def test_so_many_samples_as_were_said_to_do_can_tell() -> None:
    counts, limit = [262, 9, 5, 24], 0.97
    pairs = np.repeat(PAIRS, counts, axis=0)
    doubt = too_few_samples(retention(pairs[:, 0], pairs[:, 1]), limit)
    assert doubt is not None and doubt.limit is None
    said = int(doubt.text.split("about ")[1].split()[0])
    value = retention(pairs[:, 0], pairs[:, 1]).value
    assert value is not None and value > limit
    repeated = np.repeat(PAIRS, np.rint(np.array(counts) * said * 1.1 / 300).astype(int), axis=0)
    assert too_few_samples(retention(repeated[:, 0], repeated[:, 1]), limit) is None
    fewer = np.repeat(PAIRS, np.rint(np.array(counts) * said * 0.6 / 300).astype(int), axis=0)
    assert too_few_samples(retention(fewer[:, 0], fewer[:, 1]), limit) is not None


@pytest.mark.parametrize("right", [20, 40])
def test_so_many_samples_of_which_none_differs_as_were_said_to_do_can_tell(right: int) -> None:
    def doubt(factor: float) -> TooFew | None:
        scores = np.repeat([1.0, 0.0], [round(right * factor), round((40 - right) * factor)])
        return too_few_samples(retention(scores, scores), 0.98)

    few = doubt(1)
    assert few is not None and few.limit is None
    needed = int(few.text.split("about ")[1].split()[0])
    assert doubt(needed / 40) is None
    assert doubt(0.9 * needed / 40) is not None


def test_a_gate_never_flips_between_two_runs_of_one_seed() -> None:
    """Retentions at the very limit, where another seed would fall on the other side."""
    limits = []
    for seed in range(6):
        drawn = np.random.default_rng(seed).random((30, 2)) + 0.5
        runs = {retention(drawn[:, 0], drawn[:, 1], seed=seed) for _ in range(3)}
        assert len(runs) == 1
        (run,) = runs
        assert run.low is not None
        gates = {min_retention_gate(run, run.low, "lower") for _ in range(3)}
        assert len(gates) == 1 and next(iter(gates)).passed
        limits.append(retention(drawn[:, 0], drawn[:, 1], seed=seed + 1).low != run.low)
    assert all(limits)


def test_counting_and_drawing_resamples_give_one_interval() -> None:
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


def test_an_interval_widens_with_confidence_and_repeats_with_its_seed() -> None:
    pairs = binary_pairs(200, [0.7, 0.1, 0.05, 0.15], 0)
    narrow = retention(pairs[:, 0], pairs[:, 1], confidence=0.8)
    wide = retention(pairs[:, 0], pairs[:, 1], confidence=0.99)
    assert wide.low is not None and narrow.low is not None
    assert narrow.high is not None and wide.high is not None
    assert wide.low < narrow.low and narrow.high < wide.high
    assert narrow == retention(pairs[:, 0], pairs[:, 1], confidence=0.8)
    drawn = np.random.default_rng(0).random((300, 2)) + 1
    first = retention(drawn[:, 0], drawn[:, 1])
    assert first == retention(drawn[:, 0], drawn[:, 1])
    assert first != retention(drawn[:, 0], drawn[:, 1], seed=1)


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
def test_the_difference_alone_is_given_without_a_positive_denominator(
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
        (retention(np.full(20, 0.5), np.full(20, 0.5)), 0.98, False),
        (retention(np.full(1000, 0.5), np.full(1000, 0.5)), 0.98, True),
    ],
)
def test_too_few_samples_to_tell_is_said(result: Retention, limit: float, told: bool) -> None:
    doubt = too_few_samples(result, limit)
    assert (doubt is None) == told
    if doubt is not None:
        assert doubt.text.startswith(f"{result.samples} samples cannot tell ")


@pytest.mark.parametrize(
    ("result", "limit", "instead"),
    [
        (Retention(0.982, 0.964, 0.996, 80, -0.02), 0.98, 0.96),
        (Retention(0.978, 0.964, 0.986, 80, -0.02), 0.98, 0.99),
        (Retention(0.98, 0.964, 0.986, 80, -0.02), 0.98, 0.96),
        (retention(np.full(80, 0.5), np.full(80, 0.5)), 0.9999, 0.95),
        # so many may be had
        (Retention(0.985, 0.97, 0.995, 80, -0.01), 0.98, None),
        (Retention(0.982, 0.978, 0.986, 20_000, -0.02), 0.98, None),
    ],
)
def test_a_number_of_samples_that_nobody_has_is_not_advised(
    result: Retention, limit: float, instead: float | None
) -> None:
    doubt = too_few_samples(result, limit)
    assert doubt is not None and doubt.limit == instead
    assert ("would do" in doubt.text) == (instead is None)
    assert ("any usual number" in doubt.text) == (instead is not None)
