"""Ranges of all values, weights to nearest."""

from __future__ import annotations

from ...core.types import Range
from ..numeric.histogram import Histogram
from . import QuantizationMethod, RangeMethod

ORDER = 80


def min_max(histogram: Histogram) -> Range:
    """Return the whole range: nothing is clipped, whatever a single outlier costs all others.

    >>> import numpy as np
    >>> histogram = Histogram()
    >>> histogram.add(np.array([1.0, 7.0, 3.0]))
    >>> min_max(histogram)
    (0.0, 7.0)
    """
    return histogram.low, histogram.high


METHOD = QuantizationMethod(RangeMethod("min-max", min_max), correct_bias=False, is_compared=True)
