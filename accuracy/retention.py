"""How much of the baseline's metric is left, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.errors import OptionError, SamplesError

Scores = NDArray[np.float64]

# Resamples of the bootstrap: the ends of a 95 % interval then rest on 125 resamples each.
RESAMPLES = 5000
# Up to so many distinct pairs of scores it is faster to draw how often each one comes.
_FEW_PAIRS = 200
# Numbers drawn at once; 32 MB of int64, so that memory does not grow with samples x resamples.
_DRAWN_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Retention:
    """Candidate / baseline (inverted where lower is better) and the ends of its interval.

    The three are None when the ratio has no meaning, because its denominator is not positive;
    ``difference`` (candidate - baseline) is always there.
    """

    value: float | None
    low: float | None
    high: float | None
    samples: int
    difference: float


def retention(
    baseline_scores: Scores,
    candidate_scores: Scores,
    *,
    lower_is_better: bool = False,
    seed: int = 0,
    confidence: float = 0.95,
) -> Retention:
    """Ratio of the mean scores (N,) of two models on the same samples, with its interval.

    The interval is the percentile interval of the paired bootstrap (Efron and Tibshirani, An
    Introduction to the Bootstrap, 1993, chapter 13): samples are drawn with replacement, a sample
    always with both of its scores. Where most samples share the same pair of scores (right and
    right), how often each distinct pair comes is drawn instead, from the multinomial distribution,
    which is the same and much faster than scipy.stats.bootstrap. Resamples whose denominator is
    not positive are left out, where scipy's interval would be NaN.

    Raises SamplesError for scores of different or no length.

    >>> baseline = np.array([1.0] * 90 + [0.0] * 10)
    >>> candidate = baseline.copy()
    >>> candidate[:9] = 0.0
    >>> result = retention(baseline, candidate)
    >>> result.value, round(result.difference, 6), result.samples
    (0.9, -0.09, 100)
    >>> 0.80 < result.low < 0.87 and 0.93 < result.high < 0.99
    True
    """
    base, cand = _checked(baseline_scores, candidate_scores)
    _check_confidence(confidence)
    difference = float(cand.mean() - base.mean())
    above, below = (base, cand) if lower_is_better else (cand, base)
    if base.mean() <= 0 or below.mean() <= 0:
        return Retention(None, None, None, len(base), difference)
    if np.array_equal(base, cand):
        return Retention(1.0, 1.0, 1.0, len(base), 0.0)  # exactly, whatever sums round to
    ratios = _resampled_ratios(above, below, seed)
    low, high = np.quantile(ratios, [(1 - confidence) / 2, (1 + confidence) / 2])
    value = float(above.mean() / below.mean())
    return Retention(value, float(low), float(high), len(base), difference)


def too_few_samples(result: Retention, limit: float) -> str | None:
    """A sentence when these samples cannot tell on which side of ``limit`` the retention is.

    That is when the limit lies inside the interval. Where not one sample's score differs, the
    bootstrap sees no spread; then at most 3/N of the samples do differ, with 95 % confidence (the
    rule of three: Hanley and Lippman-Hand, JAMA 249, 1983), and that bound is used.

    >>> print(too_few_samples(Retention(0.985, 0.975, 0.993, 500, -0.014), 0.98))
    500 samples are too few to tell 0.985 from the limit 0.98: the interval is 0.975 to 0.993
    >>> too_few_samples(Retention(0.985, 0.983, 0.987, 50000, -0.014), 0.98)
    """
    if result.value is None or result.low is None or result.high is None:
        return None
    low = result.low
    if low == result.high == 1:
        low = max(0.0, 1 - 3 / result.samples)
    if not low < limit < result.high:
        return None
    return (
        f"{result.samples} samples are too few to tell {result.value:.3f} from the limit "
        f"{limit:g}: the interval is {low:.3f} to {result.high:.3f}"
    )


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise OptionError(f"a confidence of {confidence:g} is not between 0 and 1", "use 0.95")


def _checked(baseline: Scores, candidate: Scores) -> tuple[Scores, Scores]:
    base, cand = np.asarray(baseline, np.float64), np.asarray(candidate, np.float64)
    if base.ndim != 1 or base.shape != cand.shape or not len(base):
        raise SamplesError(
            f"scores of the shapes {base.shape} and {cand.shape} cannot be paired",
            "evaluate both models on the same samples, at least one",
        )
    if not (np.isfinite(base).all() and np.isfinite(cand).all()):
        raise SamplesError("the scores hold NaN or infinite values", "check the metric")
    return base, cand


def _resampled_ratios(above: Scores, below: Scores, seed: int) -> Scores:
    """Ratio of the means in each resample (RESAMPLES,), fewer where the ratio is undefined."""
    pairs, counts = np.unique(np.stack([above, below], axis=1), axis=0, return_counts=True)
    generator = np.random.default_rng(seed)
    few = len(pairs) <= _FEW_PAIRS
    at_once = max(1, _DRAWN_AT_ONCE // (len(pairs) if few else len(above)))
    parts = []
    for start in range(0, RESAMPLES, at_once):
        rows = min(at_once, RESAMPLES - start)
        if few:
            parts.append(generator.multinomial(len(above), counts / len(above), rows) @ pairs)
        else:
            drawn = generator.integers(0, len(above), (rows, len(above)))
            parts.append(np.stack([above[drawn].sum(1), below[drawn].sum(1)], axis=1))
    sums = np.concatenate(parts)
    usable = sums[sums[:, 1] > 0]
    ratios: Scores = usable[:, 0] / usable[:, 1]
    return ratios
