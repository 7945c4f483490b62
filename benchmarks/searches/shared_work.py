"""What trials share, and who pays for it: each search once, for the first of them that it runs.

When they were measured, the first trial of a kind has made the pruned model and the statistics, and
the others had them out of the cache. A search may come to them in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from rockpress.core.results.tune_report import Setting

from .search_rows import TrialRow

# what decides the work that is shared: a stage of the search, and these settings of a point
Kind = tuple[int, tuple[Setting, ...]]
_SETTINGS = ("prune", "rounds", "scheme")


def kind_of(row: TrialRow) -> Kind:
    """Return what a trial shares its work with."""
    return row.rung, tuple(row.settings.get(name) for name in _SETTINGS)


def seconds_of(row: TrialRow, rows: Sequence[TrialRow], paid: set[Kind]) -> float:
    """Return what a search pays for a trial that has ``paid`` for what these kinds share.

    ``rows`` are all trials in the order in which they were measured. What those of a kind share is
    what the first took more than the others (their median), nothing where it took less or is alone.

    >>> first = TrialRow("toy", {"method": "auto"}, 2, 9.0, 9.0, 1.0)
    >>> rows = first, TrialRow("toy", {"method": "mse"}, 2, 4.0, 4.0, 1.0)
    >>> [seconds_of(row, rows, set()) for row in rows], seconds_of(first, rows, {kind_of(first)})
    ([9.0, 9.0], 4.0)
    """
    kind = kind_of(row)
    first, *others = [each for each in rows if kind_of(each) == kind]
    shared = max(0.0, first.seconds - median(each.seconds for each in others)) if others else 0.0
    own = row.seconds - (shared if row is first else 0.0)
    return own if kind in paid else own + shared
