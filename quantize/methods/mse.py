"""Ranges of least squared error, weights to nearest, biases corrected."""

from __future__ import annotations

import numpy as np

from ...core.types import Float64, Range
from ..numeric.histogram import Histogram
from ..numeric.scales import LEVELS
from . import QuantizationMethod, RangeMethod
from .min_max import min_max

ORDER = 70
# Fractions of each end that are tried: down to 0.7 ** 11 = 2 %, in bins of four to be quick, then
# finer about the best, to steps of 1 %.
_RATIO = 0.7
_FRACTIONS = _RATIO ** np.arange(12)
_MERGED = 4
_REFINEMENTS = 5


def mse(histogram: Histogram) -> Range:
    """Return the range of least expected squared error of rounding and clipping together.

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
    counts, edges = histogram.nonzero_part()
    if not counts.any():
        return min_max(histogram)
    ends = histogram.low / histogram.width, histogram.high / histogram.width
    starts = np.arange(0, len(counts), _MERGED)
    coarse = _Errors(np.add.reduceat(counts, starts), np.append(edges[starts], edges[-1]), *ends)
    best = coarse.best_of(_FRACTIONS, _FRACTIONS)
    fine = _Errors(counts, edges, *ends)
    for ratio in _RATIO**0.5 ** np.arange(1, _REFINEMENTS + 1):
        about = np.array([1, 1 / ratio, ratio])
        best = fine.best_of(*(np.minimum(fraction * about, 1.0) for fraction in best))
    return histogram.low * best[0], histogram.high * best[1]


class _Errors:
    """Expected squared errors of ranges, given by the fractions of low and high that they keep."""

    def __init__(self, counts: Float64, edges: Float64, low: float, high: float) -> None:
        density = np.concatenate([[0.0], counts / np.diff(edges), [0.0]])
        self._weights = -np.diff(density)
        self._edges = edges
        self._low = low
        self._high = high

    def best_of(self, lows: Float64, highs: Float64) -> Range:
        """Return the two fractions, one of each, with the least error; the first of equal ones."""
        lows = lows if self._low else np.ones(1)
        highs = highs if self._high else np.ones(1)
        errors = np.array([self._integrals(low, highs) @ self._weights for low in lows])
        row, column = np.unravel_index(np.argmin(errors), errors.shape)
        return float(lows[row]), float(highs[column])

    def _integrals(self, low: float, highs: Float64) -> Float64:
        """Return integrals of (t - q(t))² dt from 0 to every edge, a row for each of the ``highs``.

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


METHOD = QuantizationMethod(RangeMethod("mse", mse), is_compared=True)
