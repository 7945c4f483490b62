"""How much of the baseline's metric is left, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from ..core.errors import OptionError, SamplesError
from .confidence.proportions import (
    Interval,
    Pairs,
    difference_interval,
    proportion_interval,
    ratio_interval,
)
from .confidence.resampling import resampled_values
from .metrics.measurement import Measurement, Scores, Sums


@dataclass(frozen=True)
class Retention:
    """Candidate / baseline (inverted where lower is better) and the ends of its interval.

    The three are None when the ratio has no meaning, because its denominator is not positive;
    ``difference`` (candidate - baseline) is always there, with the ends of its own interval.
    """

    value: float | None
    low: float | None
    high: float | None
    samples: int
    difference: float
    difference_low: float | None = None
    difference_high: float | None = None


def retention_and_intervals(
    base: Measurement,
    cand: Measurement,
    *,
    lower_is_better: bool = False,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[Retention, tuple[Interval | None, Interval | None]]:
    """Return the retention of a candidate, and the interval of each model's own metric.

    Both are measured on the same samples. The interval is the percentile interval of the paired
    bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13): samples
    are drawn with replacement, a sample always with what both models made of it. Resamples whose
    denominator is not positive are left out. Scores that are only right or wrong have an interval
    in closed form instead (``ratio_interval``), which also holds where few samples differ.

    Raises SamplesError for scores of different or no length, or a metric that is not finite.

    >>> from .metrics.measurement import means
    >>> baseline, candidate = np.array([1.0] * 90 + [0.0] * 10), np.array([1.0] * 81 + [0.0] * 19)
    >>> result, _ = retention_and_intervals(means(baseline), means(candidate))
    >>> result.value, round(result.difference, 6), result.samples
    (0.9, -0.09, 100)
    >>> 0.80 < result.low < 0.87 and 0.93 < result.high < 0.99
    True
    """
    _check(base, cand)
    if not 0 < confidence < 1:
        raise OptionError(f"a confidence of {confidence:g} is not between 0 and 1", "use 0.95")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    pairs = pairs_of(base, cand)
    if pairs is not None:
        ratio: Interval | None = _ratio_of(pairs, lower_is_better, z)
        difference: tuple[float | None, float | None] = difference_interval(pairs, z)
        count = pairs.samples
        own: tuple[Interval | None, Interval | None] = (
            proportion_interval(base.value, count, z),
            proportion_interval(cand.value, count, z),
        )
    else:
        first, second = resampled_values([base, cand], seed)
        ratio = _resampled_ratio(first, second, lower_is_better, confidence)
        difference = _percentiles(second - first, confidence) or (None, None)
        own = _corrected(first, base.value, z), _corrected(second, cand.value, z)
    return _retention(base, cand, lower_is_better, ratio, difference), own


def _retention(
    base: Measurement,
    cand: Measurement,
    lower_is_better: bool,
    ratio: Interval | None,
    difference: tuple[float | None, float | None],
) -> Retention:
    gain = 0.0 if cand.value == base.value else cand.value - base.value
    above, below = (base, cand) if lower_is_better else (cand, base)
    if base.value <= 0 or below.value <= 0 or ratio is None:
        return Retention(None, None, None, len(base.scores), gain, *difference)
    return Retention(above.value / below.value, *ratio, len(base.scores), gain, *difference)


def pairs_of(baseline: Measurement, candidate: Measurement) -> Pairs | None:
    """Count the samples that each model has right; None for scores that are not right or wrong."""
    if not (isinstance(baseline, Sums) and isinstance(candidate, Sums)):
        return None
    if not (baseline.proportion and candidate.proportion):
        return None
    right = baseline.scores > 0, candidate.scores > 0
    return Pairs(
        int((right[0] & right[1]).sum()),
        int((right[0] & ~right[1]).sum()),
        int((~right[0] & right[1]).sum()),
        int((~right[0] & ~right[1]).sum()),
    )


def too_few_samples(result: Retention, limit: float) -> str | None:
    """Return a sentence when these samples cannot tell on which side of ``limit`` the retention is.

    That is when the limit lies inside the interval. Where not one sample's score differs, the
    bootstrap sees no spread; then at most 3/N of the samples do differ, with 95 % confidence (the
    rule of three: Hanley and Lippman-Hand, JAMA 249, 1983), and that bound is used. The number that would do supposes that what
    was seen holds on, and that the interval narrows with the root of the number.

    >>> print(too_few_samples(Retention(0.985, 0.975, 0.993, 500, -0.014), 0.98))
    500 samples are too few to tell 0.985 from the limit 0.98: the interval is 0.975 to 0.993; about 2000 would do
    >>> too_few_samples(Retention(0.985, 0.983, 0.987, 50000, -0.014), 0.98)
    """  # noqa: E501
    if result.value is None or result.low is None or result.high is None:
        return None
    low, certain = result.low, result.low == result.high == 1
    if certain:
        low = max(0.0, 1 - 3 / result.samples)
    if not low < limit < result.high:
        return None
    enough = _enough(result.value, low, result.high, result.samples, limit)
    if certain:
        enough = _about(3 / (1 - limit))
    return (
        f"{_samples(result.samples)} too few to tell {result.value:.3f} from the limit "
        f"{limit:g}: the interval is {low:.3f} to {result.high:.3f}; {enough}"
    )


def _samples(count: int) -> str:
    return "1 sample is" if count == 1 else f"{count} samples are"


def _enough(value: float, low: float, high: float, samples: int, limit: float) -> str:
    half = value - low if value > limit else high - value
    distance = abs(value - limit)
    if distance < half / 100:  # ten thousand times as many would not do
        return "they are too close for any number to tell"
    return _about(samples * (half / distance) ** 2)


def _about(needed: float) -> str:
    """Return the number of samples in words, rounded up to two digits."""
    unit = 10 ** max(0, math.floor(math.log10(needed)) - 1)
    return f"about {math.ceil(needed / unit) * unit} would do"


def _ratio_of(pairs: Pairs, lower_is_better: bool, z: float) -> Interval | None:
    """Return that of candidate / baseline, or inverted; None where the denominator is 0."""
    if lower_is_better:
        pairs = Pairs(pairs.both, pairs.second, pairs.first, pairs.neither)
    return ratio_interval(pairs, z) if pairs.both + pairs.first > 0 else None


def _resampled_ratio(
    first: Scores, second: Scores, lower_is_better: bool, confidence: float
) -> Interval | None:
    above, below = (first, second) if lower_is_better else (second, first)
    usable = below > 0
    return _percentiles(above[usable] / below[usable], confidence)


def _percentiles(values: Scores, confidence: float) -> Interval | None:
    """Return the ends of the middle part of the values; None where no value is finite."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    low, high = np.quantile(finite, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _corrected(values: Scores, estimate: float, z: float) -> Interval | None:
    """Return ``_percentiles`` moved by how far the estimate is from the middle of the resamples.

    Average precision is larger on few images than on many, and larger still on resamples, so that
    its own percentiles hold the truth too seldom; in differences and ratios that cancels. Source:
    Efron, The jackknife, the bootstrap and other resampling plans, SIAM 1982, section 10.7.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    below = (np.mean(finite < estimate) + np.mean(finite <= estimate)) / 2
    normal = NormalDist()
    shift = 2 * normal.inv_cdf(min(max(below, 1 / len(finite)), 1 - 1 / len(finite)))
    low, high = np.quantile(finite, [normal.cdf(shift - z), normal.cdf(shift + z)])
    return float(low), float(high)


def _check(base: Measurement, cand: Measurement) -> None:
    if base.scores.shape != cand.scores.shape or base.scores.ndim != 1 or not len(base.scores):
        raise SamplesError(
            f"scores of the shapes {base.scores.shape} and {cand.scores.shape} cannot be paired",
            "evaluate both models on the same samples, at least one",
        )
    if not (math.isfinite(base.value) and math.isfinite(cand.value)):
        raise SamplesError(
            "the metric is not defined on these samples: it is NaN or infinite",
            "check the labels: do they vary, and is there anything to find?",
        )
