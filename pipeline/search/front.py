"""Which points no other beats: the Pareto front of cost and retention."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .points import Measure, Trial


def is_dominated(measure: Measure, others: Iterable[Measure]) -> bool:
    """Return whether one of ``others`` costs no more and retains surely more.

    Surely: its lower bound is not below the upper bound of ``measure``, and one of cost and
    retention is truly better. Above 1 nothing is gained.
    """
    high = min(measure.high, 1.0)
    return any(
        other.cost <= measure.cost
        and min(other.low, 1.0) >= high
        and (other.cost < measure.cost or other.low > measure.low)
        for other in others
    )


def pareto_front(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """Return the trials that none beats in cost and lower bound of retention, the cheapest first.

    Of several with the same figures the first is taken.
    """
    measured = [(trial.measure, trial) for trial in trials if trial.measure is not None]
    ordered = sorted(measured, key=lambda pair: (pair[0].cost, -pair[0].low, pair[1].number))
    front: list[Trial] = []
    best = float("-inf")
    for measure, trial in ordered:
        if measure.low > best:
            best = measure.low
            front.append(trial)
    return tuple(front)


def hypervolume(measures: Iterable[Measure], worst_cost: float, worst_retention: float) -> float:
    """Return the area that a front dominates below ``worst_cost`` and above ``worst_retention``.

    Of the lower bounds of retention, in units of cost. Source: Zitzler and Thiele 1998.
    """
    area, edge = 0.0, worst_cost
    inside = [m for m in measures if m.cost < worst_cost and m.low > worst_retention]
    for measure in sorted(inside, key=lambda m: (-m.low, m.cost)):
        if measure.cost < edge:
            area += (edge - measure.cost) * (measure.low - worst_retention)
            edge = measure.cost
    return area


@dataclass(frozen=True)
class Pick:
    """Which point of the front is wanted: within a cost, or with a retention; one of the two."""

    cost: float | None = None
    retention: float | None = None


def picked(front: Sequence[Trial], pick: Pick) -> Trial | None:
    """Return the trial that is asked for; None where the front has none.

    The one that retains most within a cost, or the cheapest whose lower bound is a retention.
    """
    if pick.cost is not None:
        within = [t for t in front if t.measure is not None and t.measure.cost <= pick.cost]
        return within[-1] if within else None
    least = pick.retention or 0.0
    enough = [t for t in front if t.measure is not None and t.measure.low >= least]
    return enough[0] if enough else None
