"""How sure a figure is: intervals by a paired bootstrap, tests by exchange, and Holm's correction.

Samples of one source (a photograph, a face and its mirror image) are drawn and exchanged together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rockpress.core.proportion import unseen_share

from .rows import Row

Array = NDArray[Any]

_DRAWS, _SEED = 9999, 7
_EDGES = (2.5, 97.5)  # per cent
_ROUNDING = 1e-12  # what sums in another order may differ by


@dataclass(frozen=True)
class Figure:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Gap:
    """How much more of the float model's metric one row keeps than another, and the p-value."""

    figure: Figure
    p: float


def metric_of(row: Row, sources: Sequence[int]) -> Figure:
    """Return a row's metric."""
    sums = _sums(sources, row)
    figure = _figure(_ratio(sums.sum(0)), _ratio(_drawn(sums)), len(sums))
    return replace(figure, low=max(figure.low, 0.0), high=min(figure.high, 1.0))


def retention(row: Row, base: Row) -> Figure:
    """Return the row's metric over the float row's, which has the sources; at most 1 over that."""
    sums = _sums(base.sources, row, base)
    figure = _figure(_retention_of(sums.sum(0)), _retention_of(_drawn(sums)), len(sums))
    return replace(figure, high=min(figure.high, 1 / float(_ratio(sums.sum(0)[2:]))))


def gap(row: Row, peer: Row, base: Row) -> Gap:
    """Return a row's retention less a peer's; p is that of so large a gap, on either side, by luck.

    The test exchanges both rows' samples source by source, 9,999 times (a permutation test).
    """
    sums = _sums(base.sources, row, peer, base)
    draws = _drawn(sums)
    value = float(_more(sums.sum(0)))
    rng = np.random.default_rng(_SEED)
    swaps = rng.random((_DRAWS, len(sums))) < 0.5
    plain, swapped = sums, sums[:, [2, 3, 0, 1, 4, 5]]
    exchanged = swaps @ swapped + ~swaps @ plain
    extreme = np.abs(_more(exchanged)) >= abs(value) - 1e-12
    return Gap(_figure(value, _more(draws), len(sums)), (1 + int(extreme.sum())) / (1 + _DRAWS))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values corrected for their number: S. Holm, Scand. J. Stat. 6 (1979), 65-70.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected, least = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = least
    return corrected


def _sums(sources: Sequence[int], *rows: Row) -> Array:
    """Return the sums of right and of each row, over each source: (sources, 2 x rows)."""
    member = np.unique(np.asarray(sources), return_inverse=True)[1]
    columns = [column for row in rows for column in (row.right, row.of)]
    return np.stack([np.bincount(member, np.asarray(column)) for column in columns], axis=1)


def _drawn(sums: Array) -> Array:
    """Return the sums over sources drawn with replacement: (draws, columns)."""
    counts = np.random.default_rng(_SEED).multinomial(
        len(sums), [1 / len(sums)] * len(sums), size=_DRAWS
    )
    drawn: Array = counts @ sums
    return drawn


def _ratio(sums: Array) -> Array:
    ratio: Array = sums[..., 0] / sums[..., 1]
    return ratio


def _retention_of(sums: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Array = _ratio(sums[..., :2]) / _ratio(sums[..., 2:])
    return ratio


def _more(sums: Array) -> Array:
    base = sums[..., 4:]
    first, second = np.concatenate([sums[..., :2], base], -1), sums[..., 2:]
    more: Array = _retention_of(first) - _retention_of(second)
    return more


def _figure(value: Any, draws: Array, sources: int) -> Figure:
    """Return a value with its interval; without a width, what so many sources may hide."""
    low, high = np.nanpercentile(draws, _EDGES)
    half = unseen_share(sources) if high - low < _ROUNDING else 0.0
    return Figure(float(value), float(low) - half, float(high) + half)
