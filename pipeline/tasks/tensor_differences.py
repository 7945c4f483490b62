"""How far values that come sample by sample are from others, in steps of how they are stored."""

from __future__ import annotations

import math

import numpy as np

from ...core.results.board_comparison import LayerDifference
from ...core.similarity import RunningSqnr
from ...core.types import Array
from .inner_tensors import InnerTensor

# A float16 has steps of 2^-11 of its value, and the sums of a layer add some of them up.
_FLOAT_STEP = 2.0**-9


class RunningDifference:
    """The difference of one tensor, in constant memory.

    Rounding of the layers before adds up; from ``least_db`` on that is all that the noise is.
    """

    def __init__(self, tensor: InnerTensor, least_db: float) -> None:
        self._tensor, self._least_db, self._sqnr = tensor, least_db, RunningSqnr()
        self._most, self._beyond, self._count = 0.0, 0, 0

    def add(self, simulated: Array, on_board: Array) -> None:
        """Take in the values of one sample, of one shape."""
        self._sqnr.add([simulated], [on_board])
        steps = _steps_apart(simulated, on_board, self._tensor.step)
        self._most = max(self._most, float(steps.max(initial=0)))
        self._beyond += int((steps > 1).sum())
        self._count += steps.size

    @property
    def figure(self) -> LayerDifference:
        """What all samples came to."""
        share = self._beyond / self._count if self._count else 0.0
        tensor, decibel = self._tensor, self._sqnr.db
        return LayerDifference(
            *(tensor.name, tensor.op, tensor.step, decibel, self._most, share),
            is_rounding=self._most <= 1 or decibel >= self._least_db,
        )


def _steps_apart(simulated: Array, on_board: Array, step: float | None) -> Array:
    """Return by how many steps each value differs; of integers by whole ones.

    >>> _steps_apart(np.array([1.0, 2.0]), np.array([1.0, 2.26]), 0.25)
    array([0., 1.])
    """
    reference, other = simulated.astype(np.float64), on_board.astype(np.float64)
    with np.errstate(invalid="ignore"):  # inf - inf, replaced by 0 as the two are equal
        apart = np.where(reference == other, 0.0, np.abs(reference - other))
    apart = np.where(np.isnan(reference) & np.isnan(other), 0.0, apart)
    apart = np.nan_to_num(apart, nan=math.inf, posinf=math.inf)
    if step is not None:
        whole: Array = np.round(apart / step)  # the toolkit may have made the scale a little other
        return whole
    largest = _largest(reference) or _largest(other)
    steps: Array = apart / (_FLOAT_STEP * largest) if largest else apart
    return steps


def _largest(values: Array) -> float:
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
