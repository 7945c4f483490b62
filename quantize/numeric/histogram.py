"""A streaming histogram of one tensor: constant memory, no second pass when the range grows."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ...core.types import Array, Float64

BINS = 2048
# Values counted of one call. A network has a hundred tensors of up to a million values, for every
# image; counting all of them would take longer than the network itself, and 16384 an image
# already place the 99.99th percentile well. The extremes always come from all values.
SAMPLED = 16384
# The smallest normal float64: no bin is narrower, so that dividing by a width never overflows.
_LEAST_EXPONENT = -1022
# Values are multiplied by at most 2 ** 126 in single precision, which keeps them finite.
_LEAST_SINGLE = -126
_GOLDEN = (math.sqrt(5) - 1) / 2
_SPREAD = np.arange(SAMPLED) + np.arange(SAMPLED) * _GOLDEN % 1


class Histogram:
    """Counts of the values of one tensor in 2048 equal bins, and its exact extremes.

    ``low`` and ``high`` are the smallest and largest of all values and of 0. ``counts`` (int64,
    2048) holds the values that were sampled, ``zeros`` how many of these are exactly 0.

    The width of a bin is a power of two, and bins start at multiples of it: it is the smallest
    such that 2048 bins reach from ``low`` to ``high``. When values exceed the range the width
    doubles and neighbours merge; 0 is the anchor, always an edge. Powers of two divide exactly, so
    the merged counts are those of a histogram made with the final edges, whatever the order of
    the values was. From ``low`` to ``high`` there are 1024 to 2048 bins.

    >>> histogram = Histogram()
    >>> histogram.add(np.array([[0.0, 0.3], [0.9, 1.5]], np.float32))
    >>> histogram.width, histogram.high
    (0.0009765625, 1.5)
    >>> histogram.add(np.array([-1.0, 3.0], np.float16))
    >>> histogram.width, histogram.low, histogram.high, histogram.count, histogram.zeros
    (0.00390625, -1.0, 3.0, 6, 1)
    """

    def __init__(self) -> None:
        self.low = 0.0
        self.high = 0.0
        self.zeros = 0
        self.counts: NDArray[np.int64] = np.zeros(BINS, np.int64)
        self._exponent = _LEAST_EXPONENT
        self._first = 0  # the first bin starts at this multiple of the width

    @property
    def count(self) -> int:
        """Return how many values were counted: at most 16384 of every call."""
        return int(self.counts.sum())

    @property
    def width(self) -> float:
        """Return the width of a bin, a power of two."""
        return math.ldexp(1.0, self._exponent)

    @property
    def edges(self) -> Float64:
        """Return the 2049 edges of the bins; each bin holds its lower edge."""
        return (self._first + np.arange(BINS + 1)) * self.width

    def nonzero_part(self) -> tuple[Float64, Float64]:
        """Return counts without exact zeros, up to the bin of ``high``; edges in bin widths."""
        edges = self.edges / self.width
        counts = self.counts.astype(np.float64)
        counts[np.searchsorted(edges, 0.0)] -= self.zeros
        stop = int(np.searchsorted(edges, self.high / self.width, "right"))
        return counts[:stop], edges[: stop + 1]

    def within(self, low: float, high: float) -> Histogram:
        """Return the same with all values beyond either end counted there.

        >>> histogram = Histogram()
        >>> histogram.add(np.array([-8.0, -5.0, 0.0, 2.0]))
        >>> part = histogram.within(-3.0, 9.0)
        >>> part.low, part.high, part.count, histogram.low
        (-3.0, 2.0, 4, -8.0)
        """
        if self.low >= low and self.high <= high:
            return self
        part = Histogram()
        part.low, part.high = max(self.low, min(low, 0.0)), min(self.high, max(high, 0.0))
        part.zeros, part._exponent, part._first = self.zeros, self._exponent, self._first
        bins = np.floor(np.array([part.low, part.high]) / self.width).astype(np.intp) - self._first
        places = np.arange(BINS).clip(*bins)
        np.add.at(part.counts, places, self.counts)
        return part

    def add(self, values: Array, lowest: float | None = None) -> None:
        """Take in an array of any shape and real type, without NaN; ``lowest`` of it, if known.

        An infinite value makes ``low`` or ``high`` infinite; from then on nothing is counted.
        """
        if not values.size:
            return
        self.low = min(self.low, float(values.min()) if lowest is None else lowest)
        self.high = max(self.high, float(values.max()))
        if math.isfinite(self.high - self.low):
            self._make_room()
            self._count(sampled(values))

    def _count(self, values: Array) -> None:
        self.zeros += values.size - int(np.count_nonzero(values))
        if values.dtype != np.float32 or not _LEAST_SINGLE <= self._exponent <= 0:
            values = values.astype(np.float64)
        # by a power of two, so exact in single precision too: nothing overflows or is lost below
        bins = np.floor(values * values.dtype.type(1 / self.width))
        bins -= self._first
        self.counts += np.bincount(bins.astype(np.int32), minlength=BINS)

    def _make_room(self) -> None:
        """Move and merge the bins so that they reach from ``low`` to ``high``."""
        exponent = _exponent_for(self.low, self.high)
        first = math.floor(self.low / math.ldexp(1.0, exponent))
        if (exponent, first) == (self._exponent, self._first):
            return
        used = np.flatnonzero(self.counts)
        # at -2048 or above, every bin is -1 or 0 after 12 doublings
        bins = (used + self._first >> min(exponent - self._exponent, 12)) - first
        counts = np.zeros(BINS, np.int64)
        np.add.at(counts, bins, self.counts[used])
        self.counts, self._exponent, self._first = counts, exponent, first


def sampled(values: Array) -> Array:
    """Return all values, or 16384 of a larger array: one of each of 16384 equal stretches.

    Below 32768 values neighbouring stretches share some, so a few may be taken twice.
    Where in its stretch a value lies follows the golden ratio. With a fixed stride that shares a
    factor with the width of an image, only some columns would ever be seen, perhaps only the
    padded border.

    >>> sampled(np.arange(6).reshape(2, 3)).tolist()
    [0, 1, 2, 3, 4, 5]
    >>> columns = np.broadcast_to(np.arange(64), (1024, 64))
    >>> sampled(columns).size, np.bincount(sampled(columns)).min() > 250
    (16384, True)
    """
    if values.size <= SAMPLED:
        return values.ravel()
    taken: Array = values.take(_places(values.size))
    return taken


@lru_cache(maxsize=32)  # many tensors have as many values
def _places(size: int) -> NDArray[np.intp]:
    return (_SPREAD * (size / SAMPLED)).astype(np.intp)


def _exponent_for(low: float, high: float) -> int:
    """Return the exponent of the smallest width with which 2048 bins reach from low to high."""
    if low == high:
        return _LEAST_EXPONENT
    # the widest span below the next power of two: 1024 to 2048 bins, and one for a broken end
    exponent = max(math.frexp(high - low)[1] - BINS.bit_length() + 1, _LEAST_EXPONENT)
    width = math.ldexp(1.0, exponent)
    while math.floor(high / width) - math.floor(low / width) + 1 > BINS:
        exponent, width = exponent + 1, width * 2
    return exponent
