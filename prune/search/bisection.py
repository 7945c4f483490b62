"""The largest share that can be pruned while enough is retained, by bisection."""

from __future__ import annotations

from collections.abc import Callable

from ...core.diagnostics import option
from ...core.errors import OptionError
from ...core.progress import SILENT, Progress
from ...core.results.pruning_figures import PruningAttempt

_STEPS = 6
_ACTIVITY = "try budgets"


def largest_share(
    retention: Callable[[float], float], least: float, most: float, progress: Progress = SILENT
) -> list[PruningAttempt]:
    """Return all shares that were tried, ``most`` first, among them the largest to keep ``least``.

    ``retention`` maps a share to what is left of the outputs, 1 for all. Raises OptionError when no
    share keeps ``least``.

    >>> attempts = largest_share(lambda share: 1 - share, 0.75, 0.8)
    >>> max(attempt.share for attempt in attempts if attempt.retention >= 0.75)
    0.25
    """
    attempts: list[PruningAttempt] = []
    low, high, share = 0.0, most, most
    for step in range(_STEPS):
        progress.step(_ACTIVITY, step, _STEPS)
        attempts.append(PruningAttempt(share, retention(share)))
        if attempts[-1].retention >= least:
            low = share
        else:
            high = share
        if low == high:
            break
        share = (low + high) / 2
    progress.step(_ACTIVITY, _STEPS, _STEPS)
    if not low:
        best = max(attempt.retention for attempt in attempts)
        raise OptionError(
            f"no cut keeps {least:.1%} of what the model gives: pruning {share:.1%} leaves "
            f"{attempts[-1].retention:.1%} (the best was {best:.1%})",
            f"allow a larger drop, keep some layers out with {option('keep')}, or do not prune",
        )
    return attempts
