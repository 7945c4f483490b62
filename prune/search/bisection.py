"""The most that can be saved while enough is left, by bisection."""

from __future__ import annotations

from collections.abc import Callable

from ...core.diagnostics import option
from ...core.errors import OptionError
from ..prune_result import PruningAttempt

_STEPS = 6


def largest_share(
    retention: Callable[[float], float],
    least: float,
    most: float,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[PruningAttempt]:
    """All shares that were tried, ``most`` first; the largest that keeps ``least`` is the answer.

    >>> tried = largest_share(lambda share: 1 - share, 0.75, 0.8)
    >>> max(one.share for one in tried if one.retention >= 0.75)
    0.25
    """
    attempts: list[PruningAttempt] = []
    low, high, share = 0.0, most, most
    for step in range(_STEPS):
        on_progress(step, _STEPS)
        attempts.append(PruningAttempt(share, retention(share)))
        if attempts[-1].retention >= least:
            low = share
        else:
            high = share
        if low == high:
            break
        share = (low + high) / 2
    on_progress(_STEPS, _STEPS)
    if not low:
        best = max(one.retention for one in attempts)
        raise OptionError(
            f"no cut keeps {least:.1%} of what the model gives: pruning {share:.1%} leaves "
            f"{attempts[-1].retention:.1%} (the best was {best:.1%})",
            f"allow a larger drop, keep some layers out with {option('keep')}, or do not prune",
        )
    return attempts
