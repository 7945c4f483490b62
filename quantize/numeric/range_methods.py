"""Which range of an activation its 256 int8 levels should cover, from its histogram.

Each method takes a Histogram and returns (low, high) with low <= 0 <= high, for asymmetric
quantization. The extremes of the histogram must be finite. A tensor of zeros gives (0.0, 0.0).
Values that are exactly 0 always have a level of their own, so the methods that weigh errors leave
them out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...core.errors import OptionError
from ...core.types import Float64, Range
from .histogram import Histogram

Places = NDArray[np.intp]

LEVELS = 256
# The mse search: fractions of each end down to 0.7 ** 11 = 2 %, in bins of four to be quick, then
# finer about the best, to steps of 1 %.
_RATIO = 0.7
_FRACTIONS = _RATIO ** np.arange(12)
_MERGED = 4
_REFINEMENTS = 5
# The kl search: how many ranges are tried over all, then about the best, then about that one.
_TRIED = (512, 128, 128)
_SMOOTHING = 1e-4


def min_max(histogram: Histogram) -> Range:
    """The whole range: nothing is clipped, whatever a single outlier costs all others.

    >>> histogram = Histogram()
    >>> histogram.add(np.array([1.0, 7.0, 3.0]))
    >>> min_max(histogram)
    (0.0, 7.0)
    """
    return histogram.low, histogram.high


def percentile(histogram: Histogram, percent: float = 99.99) -> Range:
    """From the (100 - percent)th to the percent-th percentile of the values.

    Source: H. Wu et al., "Integer quantization for deep learning inference: principles and
    empirical evaluation" (arXiv 2004.09602), on calibration; there of |x|, here of each end.
    Exact within a bin. Where so many values are 0 that no other would be left, it is the whole
    range. Raises OptionError unless 50 < percent <= 100.

    >>> histogram = Histogram()
    >>> histogram.add(np.arange(-5000, 5001) / 10.0)
    >>> low, high = percentile(histogram, 99.0)
    >>> round(low), round(high)
    (-490, 490)
    """
    if not 50 < percent <= 100:
        raise OptionError(
            f"a percentile of {percent} makes no range", "give one above 50, at most 100"
        )
    share = percent / 100
    counts, edges = _with_spike(histogram)
    high = _quantile(counts, edges, share)
    low = 0.0 - _quantile(counts[::-1], -edges[::-1], share)
    low, high = max(min(low, 0.0), histogram.low), min(max(high, 0.0), histogram.high)
    return (low, high) if low < high else min_max(histogram)


def _with_spike(histogram: Histogram) -> tuple[NDArray[np.int64], Float64]:
    """Counts and edges with one more bin, from 0 to 0, that holds the exact zeros.

    A percentile that falls among them is then 0, not somewhere in the bin that begins there.
    """
    place = int(np.searchsorted(histogram.edges, 0.0))
    counts = np.insert(histogram.counts, place, histogram.zeros)
    counts[place + 1] -= histogram.zeros
    return counts, np.insert(histogram.edges, place, 0.0)


def _quantile(counts: NDArray[np.int64], edges: Float64, share: float) -> float:
    """Below which value this share of the counts lies, linear within its bin."""
    below = np.cumsum(counts)
    wanted = share * below[-1]
    place = int(np.searchsorted(below, wanted))
    missing = (below[place] - wanted) / max(counts[place], 1)
    return float(edges[place + 1] - missing * (edges[place + 1] - edges[place]))


def mse(histogram: Histogram) -> Range:
    """The range with the least expected squared error of rounding and clipping together.

    Source: R. Banner et al., "Post training 4-bit quantization of convolutional networks for
    rapid-deployment" (2019), and M. Nagel et al., "A White Paper on Neural Network Quantization"
    (arXiv 2106.08295), section 3.1. Values count as uniform within their bin, for which the
    error has a closed form. Both ends are searched, coarse to fine.

    A million values within 1 and one of 100: if the levels reach to h, rounding costs each value
    (h / 255)² / 12 and clipping costs (100 - h)² / a million on average. The sum is least near 44.

    >>> histogram = Histogram()
    >>> for part in range(100):
    ...     histogram.add(np.linspace(-1, 1, 10000))
    >>> histogram.add(np.array([100.0]))
    >>> low, high = mse(histogram)
    >>> -1 <= low < -0.9, 40 < high < 48
    (True, True)
    """
    counts, edges = _rounded_part(histogram)
    if not counts.any():
        return min_max(histogram)
    ends = histogram.low / histogram.width, histogram.high / histogram.width
    places = np.arange(0, len(counts), _MERGED)
    coarse = _Errors(np.add.reduceat(counts, places), np.append(edges[places], edges[-1]), *ends)
    best = coarse.best_of(_FRACTIONS, _FRACTIONS)
    fine = _Errors(counts, edges, *ends)
    for ratio in _RATIO**0.5 ** np.arange(1, _REFINEMENTS + 1):
        about = np.array([1, 1 / ratio, ratio])
        best = fine.best_of(*(np.minimum(one * about, 1.0) for one in best))
    return histogram.low * best[0], histogram.high * best[1]


def _rounded_part(histogram: Histogram) -> tuple[Float64, Float64]:
    """Counts without exact zeros, from the bin of low to that of high; edges in bin widths."""
    edges = histogram.edges / histogram.width
    counts = histogram.counts.astype(np.float64)
    counts[np.searchsorted(edges, 0.0)] -= histogram.zeros
    stop = int(np.searchsorted(edges, histogram.high / histogram.width, "right"))
    return counts[:stop], edges[: stop + 1]


class _Errors:
    """Expected squared errors of ranges, given by the fractions of low and high that they keep."""

    def __init__(self, counts: Float64, edges: Float64, low: float, high: float) -> None:
        density = np.concatenate([[0.0], counts / np.diff(edges), [0.0]])
        self._weights = -np.diff(density)
        self._edges = edges
        self._low = low
        self._high = high

    def best_of(self, lows: Float64, highs: Float64) -> Range:
        """The two fractions, one of each, with the least error; the first of equal ones."""
        lows = lows if self._low else np.ones(1)
        highs = highs if self._high else np.ones(1)
        errors = np.array([self._integrals(low, highs) @ self._weights for low in lows])
        row, column = np.unravel_index(np.argmin(errors), errors.shape)
        return float(lows[row]), float(highs[column])

    def _integrals(self, low: float, highs: Float64) -> Float64:
        """Integral of (t - q(t))² dt from 0 to every edge, a row for each of the ``highs``.

        Levels are n * step, first <= n <= last. A level that is passed whole adds step³ / 12;
        what is left beyond the nearest one, rest³ / 3: beyond the last level that is clipping.
        """
        step = ((self._high * highs - self._low * low) / (LEVELS - 1))[:, None]
        first = np.rint(self._low * low / step)
        nearest = np.rint(self._edges / step)
        nearest = np.minimum(np.maximum(nearest, first), first + (LEVELS - 1))
        rest = self._edges - nearest * step
        integrals: Float64 = nearest * (step**3 / 12) + rest * rest * rest / 3
        return integrals


def kl_divergence(histogram: Histogram) -> Range:
    """The range whose 256 levels lose least information about the distribution.

    Source: S. Migacz, "8-bit inference with TensorRT" (GTC 2017). There |x| is cut at a threshold;
    here both ends are cut, each at an edge of the histogram. For a range of at least 256 bins P is
    the histogram in it, with what lies outside added to the outermost bins; Q is the histogram in
    it, without the rest, merged into 256 levels, and each level spread evenly over those of its
    bins that are not empty. The range with the least KL divergence of P from Q wins. Q is mixed
    with 0.01 % of a uniform one, so that it is nowhere 0. As there are 2048 bins, no range is cut
    to less than an eighth.

    >>> histogram = Histogram()
    >>> histogram.add(np.linspace(-1, 1, 16384))
    >>> low, high = kl_divergence(histogram)
    >>> low < -0.95, high > 0.95
    (True, True)
    >>> histogram.add(np.array([4.0]))
    >>> kl_divergence(histogram)[1] < 1.5
    True
    """
    counts, edges = _rounded_part(histogram)
    if len(counts) < LEVELS or not counts.any():
        return min_max(histogram)
    start, stop = _least_divergence(_Sums(counts), zero=int(-edges[0]))
    low, high = (float(edges[place]) * histogram.width for place in (start, stop))
    return max(low, histogram.low), min(high, histogram.high)


def _least_divergence(sums: _Sums, zero: int) -> tuple[int, int]:
    """First and last edge of the best range: among all ranges, then among those about the best."""
    end = sums.size
    first, last = (0, zero), (zero, end)
    best = (0, end)
    for tried in _TRIED:
        starts, stops = _grid(first, last, tried)
        reach = [int(np.diff(one).max(initial=0)) for one in (np.unique(starts), np.unique(stops))]
        wide = stops - starts >= LEVELS
        # the best so far stays among them
        starts, stops = np.append(best[0], starts[wide]), np.append(best[1], stops[wide])
        place = int(np.argmin(sums.divergences(starts, stops)))
        best = int(starts[place]), int(stops[place])
        first = max(best[0] - reach[0], 0), min(best[0] + reach[0], zero)
        last = max(best[1] - reach[1], zero), min(best[1] + reach[1], end)
    return best


def _grid(first: tuple[int, int], last: tuple[int, int], tried: int) -> tuple[Places, Places]:
    """About ``tried`` pairs of a start and a stop, wide ranges first; both spans inclusive."""
    few = min(np.ptp(first), np.ptp(last), int(tried**0.5) - 1) + 1
    many = tried // few
    first_count, last_count = (few, many) if np.ptp(first) < np.ptp(last) else (many, few)
    starts = np.unique(np.linspace(*first, first_count).astype(np.intp))
    stops = np.unique(np.linspace(*last, last_count).astype(np.intp))[::-1]
    return np.repeat(starts, len(stops)), np.tile(stops, len(starts))


class _Sums:
    """Running sums over the bins, from which the divergence of any range follows at once."""

    def __init__(self, counts: Float64) -> None:
        self.size = len(counts)
        self._counts = counts
        self._below = _running(counts)
        self._filled = _running(np.sign(counts))
        self._entropy = _running(_x_log_x(counts))

    def divergences(self, starts: Places, stops: Places) -> Float64:
        """KL divergence of the clipped distribution from the quantized one, for every range."""
        total = self._below[-1]
        ends = (starts, stops - 1)
        outside = (self._below[starts], total - self._below[stops])
        p_log_p = self._entropy[stops] - self._entropy[starts]
        for end, more in zip(ends, outside, strict=True):
            counts = self._counts[end]
            p_log_p = p_log_p + _x_log_x(counts + more) - _x_log_x(counts)
        inside, q, least = self._quantized(starts, stops)
        p_log_q = (inside * np.log(q)).sum(1)
        for end, more, level in zip(ends, outside, (q[:, 0], q[:, -1]), strict=True):
            p_log_q += more * np.log(np.where(self._counts[end] > 0, level, least))
        divergences: Float64 = (p_log_p - p_log_q) / total - np.log(total)
        return divergences

    def _quantized(self, starts: Places, stops: Places) -> tuple[Float64, Float64, Float64]:
        """Per range and level, the count and Q in its bins; and Q in an empty bin of the range."""
        sizes = stops - starts
        places = starts[:, None] + sizes[:, None] * np.arange(LEVELS + 1) // LEVELS
        inside = np.diff(self._below[places])
        filled = np.diff(self._filled[places])
        whole = np.maximum(inside.sum(1, keepdims=True), 1)
        least = _SMOOTHING / sizes
        q = (1 - _SMOOTHING) * inside / (whole * np.maximum(filled, 1)) + least[:, None]
        return inside, q, least


def _running(values: Float64) -> Float64:
    """Sums of the values before every edge."""
    return np.concatenate([[0.0], np.cumsum(values)])


def _x_log_x(x: Float64) -> Float64:
    """With 0 log 0 = 0."""
    product: Float64 = x * np.log(np.maximum(x, 1))
    return product


RANGE_METHODS: dict[str, Callable[[Histogram], Range]] = {
    "min-max": min_max,
    "percentile": percentile,
    "mse": mse,
    "kl": kl_divergence,
}
