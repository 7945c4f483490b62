"""How much of the baseline's metric is left, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from ..core.errors import OptionError, SamplesError
from ..core.percents import limit_percent, percent_range, percent_text
from ..core.proportion import Interval, proportion_interval, samples_for
from .confidence.proportions import Pairs, difference_interval, ratio_interval
from .confidence.resampling import resampled_values
from .confidence.unseen import (
    Ends,
    alike_samples,
    widened_difference,
    widened_metric,
    widened_ratio,
)
from .metrics.measurement import Measurement, Scores, Sums

# a number of samples that somebody may have: so many, or so many times what is there
_USUAL, _TIMES = 1000, 10
_TOO_CLOSE = "it is too close to the limit for any usual number"


@dataclass(frozen=True)
class Retention:
    """Candidate / baseline (inverted where lower is better) and the ends of its interval.

    The three are None when the ratio has no meaning, because its denominator is not positive;
    ``difference`` (candidate - baseline) is always there, with the ends of its own interval.
    ``alike`` is how many samples could have shown a difference, where none does; else 0.
    """

    value: float | None
    low: float | None
    high: float | None
    samples: int
    difference: float
    difference_low: float | None = None
    difference_high: float | None = None
    alike: int = 0


def retention_and_intervals(
    base: Measurement,
    cand: Measurement,
    *,
    lower_is_better: bool = False,
    perfect: float | None = None,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[Retention, tuple[Interval | None, Interval | None]]:
    """Return the retention of a candidate, and the interval of each model's own metric.

    Both are measured on the same samples. The interval is the percentile interval of the paired
    bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13): samples
    are drawn with replacement, a sample always with what both models made of it. Resamples whose
    denominator is not positive are left out. Scores that are only right or wrong have an interval
    in closed form instead (``ratio_interval``), which also holds where few samples differ. Where
    none does, of whatever metric, the intervals are those of what so many samples may not have
    shown (``widened_ratio``). None reaches further than a ``perfect`` value of the metric does; of
    scores that are right or wrong that is 1.

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
        difference: Ends = difference_interval(pairs, z)
        own: tuple[Interval | None, Interval | None] = (
            proportion_interval(base.value, pairs.samples, z),
            proportion_interval(cand.value, pairs.samples, z),
        )
        seen: Ends = difference if pairs.first + pairs.second else (0.0, 0.0)
    else:
        first, second = resampled_values([base, cand], seed)
        ratio = _resampled_ratio(first, second, lower_is_better, confidence)
        seen = difference = _percentiles(second - first, confidence) or (None, None)
        own = _own(base, first, z), _own(cand, second, z)
    result = _retention(base, cand, lower_is_better, ratio, difference)
    alike = alike_samples(base, cand, seen, lower_is_better)
    if alike:
        result = _widened(result, base.value, alike, z)
    highest = None if lower_is_better else (perfect if pairs is None else 1.0)
    return (result if highest is None else _clipped(result, base.value, highest)), own


def _clipped(result: Retention, baseline: float, highest: float) -> Retention:
    """Return the same with upper ends that a model as good as can be has, at this baseline.

    A candidate that is no better than the baseline loses nothing by it.
    """
    high, gain = result.high, result.difference_high
    if result.low is not None and high is not None:
        high = min(high, max(result.low, highest / baseline))
    if result.difference_low is not None and gain is not None:
        gain = min(gain, max(result.difference_low, highest - baseline))
    return replace(result, high=high, difference_high=gain)


def _widened(result: Retention, baseline: float, alike: int, z: float) -> Retention:
    """Return the same with the intervals of samples of which none differs."""
    low, high = None, None
    if result.value is not None:
        low, high = widened_ratio(result.value, alike, z)
    ends = widened_difference(baseline, result.difference, alike, z)
    return Retention(result.value, low, high, result.samples, result.difference, *ends, alike)


def _own(measured: Measurement, values: Scores, z: float) -> Interval | None:
    ends = _corrected(values, measured.value, z)
    return widened_metric(measured.value, ends, len(measured.scores), z)


def _retention(
    base: Measurement,
    cand: Measurement,
    lower_is_better: bool,
    ratio: Interval | None,
    difference: Ends,
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


@dataclass(frozen=True)
class TooFew:
    """Why these samples cannot tell, and the limit nearest to the one asked for that they can.

    ``limit`` is None where a number of samples is named that would do.
    """

    text: str
    limit: float | None = None


def too_few_samples(result: Retention, limit: float) -> TooFew | None:
    """Return why these samples cannot tell on which side of ``limit`` the retention is, or None.

    That is when the limit lies inside the interval, or is its upper end. The number that would do supposes that what was
    seen holds on, and that the interval narrows with the root of the number, or with the number
    itself where no sample differs. One that nobody has is not named: then the limit is what can be
    changed.

    >>> print(too_few_samples(Retention(0.985, 0.975, 0.993, 500, -0.014), 0.98).text)
    500 samples cannot tell 98.5% from the limit 98%: the interval is 97.5 to 99.3%; about 2000 would do
    >>> near = too_few_samples(Retention(0.982, 0.964, 0.996, 80, -0.018), 0.98)
    >>> print(near.text, near.limit)
    80 samples cannot tell 98.2% from the limit 98%: the interval is 96.4 to 99.6%; it is too close to the limit for any usual number 0.96
    >>> too_few_samples(Retention(0.985, 0.983, 0.987, 50000, -0.014), 0.98)
    """  # noqa: E501
    if result.value is None or result.low is None or result.high is None:
        return None
    if not result.low < limit <= result.high:
        return None
    needed = _needed(result, result.value, result.low, result.high, limit)
    is_usual = needed <= max(_USUAL, _TIMES * result.samples)
    samples = "1 sample" if result.samples == 1 else f"{result.samples} samples"
    return TooFew(
        f"{samples} cannot tell {percent_text(result.value, limit)} from "
        f"the limit {limit_percent(limit)}: the interval is "
        f"{percent_range(result.low, result.high)}; {_about(needed) if is_usual else _TOO_CLOSE}",
        None if is_usual else _told(result.value, result.low, result.high, limit),
    )


def _needed(result: Retention, value: float, low: float, high: float, limit: float) -> float:
    distance = abs(value - limit)
    if not distance:
        return math.inf
    if result.alike and value == 1:
        return samples_for(distance) * result.samples / result.alike
    half = value - low if value > limit else high - value
    return result.samples * (half / distance) ** 2


def _told(value: float, low: float, high: float, limit: float) -> float:
    """Return the limit in whole per cent that the interval holds, or that it misses."""
    return math.floor(100 * low) / 100 if value >= limit else math.ceil(100 * high) / 100


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
