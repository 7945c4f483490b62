"""Two methods at about the same cycles on the same samples: the difference, and how sure it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .measuring import Result
from .methods import WHOLE, Cell
from .results import Results

Array = NDArray[Any]
Points = Mapping[str, Sequence[float]]  # source of samples -> sum of their points, their number

OURS = "rockpress"
# cycles over those of the unpruned model; what falls within a step of a width is about the same
_CLOSE = 0.03
_DRAWS, _SEED, _EDGES = 4000, 7, (2.5, 97.5)


@dataclass(frozen=True)
class Pair:
    """Our cell and another method's at the same place, with cycles over the unpruned model's.

    ``difference`` is of the mean points of a sample, positive when ours is better, with its 95 %
    interval.
    """

    cell: Cell
    other: Cell
    cycles: float
    other_cycles: float
    difference: float
    interval: tuple[float, float]


def pairs_of(cells: Sequence[Cell], results: Results) -> Iterator[Pair]:
    """Return each of our cells with those of the other methods that take about as many cycles."""
    measured = [cell for cell in cells if cell.key in results and results[cell.key].points]
    for cell in measured:
        for other in measured:
            same = (cell.model, cell.runtime, cell.test) == (other.model, other.runtime, other.test)
            if cell.method == OURS and same and other.method not in (OURS, WHOLE):
                pair = _pair(cell, other, results)
                if abs(pair.cycles - pair.other_cycles) < _CLOSE:
                    yield pair


def _pair(cell: Cell, other: Cell, results: Results) -> Pair:
    ours, theirs = results[cell.key], results[other.key]
    whole = results.get(replace(cell, method=WHOLE, share=0.0).key)
    gap = difference(ours.points, theirs.points)
    return Pair(cell, other, _cycles(ours, whole), _cycles(theirs, whole), *gap)


def _cycles(result: Result, whole: Result | None) -> float:
    """Return the cycles by the compiler, or by the closed form where nothing was built."""
    is_known = whole is not None and whole.cycles and result.cycles
    return result.cycles / whole.cycles if is_known and whole else result.predicted


def difference(ours: Points, theirs: Points) -> tuple[float, tuple[float, float]]:
    """Return the difference of the mean points, and its interval by a paired bootstrap.

    Samples of one source are drawn together: two crops of one photograph tell less than two
    photographs.
    """
    sums = np.array([[ours[source][0] - theirs[source][0], ours[source][1]] for source in ours])
    drawn = np.random.default_rng(_SEED).integers(len(sums), size=(_DRAWS, len(sums)))
    draws = sums[drawn].sum(axis=1)
    low, high = np.percentile(draws[:, 0] / draws[:, 1], _EDGES)
    total = sums.sum(axis=0)
    return float(total[0] / total[1]), (float(low), float(high))
