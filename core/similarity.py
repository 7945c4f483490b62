"""How close two sets of outputs are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def sqnr_db(reference: Sequence[Array], candidate: Sequence[Array]) -> float:
    """Signal to quantization noise ratio in dB: 10 log10(sum ref^2 / sum (ref - cand)^2).

    Over all samples, of each output on its own; the worst output is returned, because one with
    large values (boxes in pixels) would hide another (scores). ``inf`` when all are equal.

    >>> round(sqnr_db([np.array([[3.0, 4.0]])], [np.array([[3.0, 4.5]])]), 6)
    20.0
    """
    return min(_sqnr_of(ref, cand) for ref, cand in zip(reference, candidate, strict=True))


def _sqnr_of(reference: Array, candidate: Array) -> float:
    signal = noise = 0.0
    # row by row, so that no float64 copy of all outputs is made
    for ref, cand in zip(reference, candidate, strict=True):
        wide, other = ref.astype(np.float64), cand.astype(np.float64)
        with np.errstate(invalid="ignore"):  # inf - inf, replaced by 0 as the two are equal
            error = np.where(wide == other, 0.0, wide - other)
        signal += float(np.square(wide[np.isfinite(wide)]).sum())
        noise += float(np.square(error).sum())
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal and math.isfinite(noise) else -math.inf
