"""How close two sets of outputs are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .types import Array

# sums of squares from which on float32 loses nothing that is too small for it
_LEAST_SINGLE = 1e-20


def sqnr_db(reference: Sequence[Array], candidate: Sequence[Array]) -> float:
    """Return the signal to quantization noise ratio in dB: 10 log10(sum ref^2 / sum diff^2).

    Over all samples, of each output on its own; the worst output is returned, because one with
    large values (boxes in pixels) would hide another (scores). ``inf`` when all are equal.

    >>> round(sqnr_db([np.array([[3.0, 4.0]])], [np.array([[3.0, 4.5]])]), 6)
    20.0
    """
    return min(_sqnr_of(ref, cand) for ref, cand in zip(reference, candidate, strict=True))


class RunningSqnr:
    """The SQNR of outputs that come sample by sample, in constant memory.

    >>> running = RunningSqnr()
    >>> running.add([np.array([3.0, 4.0])], [np.array([3.0, 4.5])])
    >>> round(running.db, 6)
    20.0
    """

    def __init__(self) -> None:
        self._sums: list[tuple[float, float]] = []

    def add(self, reference: Sequence[Array], candidate: Sequence[Array]) -> None:
        """Take in the outputs of one sample."""
        sums = [sums_of(ref, cand) for ref, cand in zip(reference, candidate, strict=True)]
        before = self._sums or [(0.0, 0.0)] * len(sums)
        self._sums = [(a + c, b + d) for (a, b), (c, d) in zip(before, sums, strict=True)]

    @property
    def db(self) -> float:
        """SQNR in dB of the worst output."""
        return min(in_db(*sums) for sums in self._sums)


def _sqnr_of(reference: Array, candidate: Array) -> float:
    # row by row, so that no float64 copy of all outputs is made
    rows = [sums_of(ref, cand) for ref, cand in zip(reference, candidate, strict=True)]
    return in_db(sum(signal for signal, _ in rows), sum(noise for _, noise in rows))


def sums_of(reference: Array, candidate: Array) -> tuple[float, float]:
    """Return the sum of squares of the reference, where it is finite, and of the difference.

    >>> sums_of(np.array([1.0, np.inf]), np.array([3.0, np.inf]))
    (1.0, 4.0)
    """
    if reference.dtype == candidate.dtype == np.float32:
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            signal, noise = np.square(reference).sum(), np.square(reference - candidate).sum()
        if _LEAST_SINGLE < signal < np.inf and _LEAST_SINGLE < noise < np.inf:
            return float(signal), float(noise)
    wide, other = reference.astype(np.float64), candidate.astype(np.float64)
    with np.errstate(invalid="ignore"):  # inf - inf, replaced by 0 as the two are equal
        error = np.where(wide == other, 0.0, wide - other)
    return float(np.square(wide[np.isfinite(wide)]).sum()), float(np.square(error).sum())


def in_db(signal: float, noise: float) -> float:
    """Return the ratio of two sums of squares in dB; -inf where there is no signal but noise."""
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal and math.isfinite(noise) else -math.inf
