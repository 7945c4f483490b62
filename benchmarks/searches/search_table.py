"""The tables of the benchmark: hypervolumes of fronts, and by how much two ways differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from rockpress.pipeline.search.front import hypervolume, pareto_front
from rockpress.pipeline.search.points import Measure
from rockpress.pipeline.search.recipe_evaluator import ALL, HELD_OUT

from .measured_trials import MeasuredTrials
from .search_arms import GRID, RANDOM, TUNE, WAYS, Searched

_WORST_COST, _WORST_RETENTION = 1.25, 0.8  # of the start's cost; of the metric
_ENOUGH = 0.98
# of Student's t, both sides 95 %, by degrees of freedom
_T = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13)


@dataclass(frozen=True)
class Figures:
    """What a search came to: points at their end, shares of the area, the least cost over start's.

    ``volume`` is by the lower ends that the search goes by, ``unseen`` by what the same points
    retain on unseen samples.
    """

    way: str
    seed: int
    points: int
    whole: int
    volume: float
    unseen: float
    fastest: float | None


def figures_of(search: Searched, trials: MeasuredTrials) -> Figures:
    """Return the figures of a search; its front is measured on unseen samples. May run trials."""
    start = _cost_of_start(trials)
    whole = search.whole()
    front = [(t.point, t.measure) for t in pareto_front(whole) if t.measure is not None]
    unseen = [trials.trial(point, HELD_OUT).outcome for point, _ in front]
    on_unseen = [
        Measure(measure.cost, other.retention, other.retention or 0.0)
        for (_, measure), other in zip(front, unseen, strict=True)
        if isinstance(other, Measure)
    ]
    enough = [measure.cost for _, measure in front if measure.low >= _ENOUGH]
    return Figures(
        search.way,
        search.seed,
        len(search.points),
        len(whole),
        share_of_area([measure for _, measure in front], start),
        share_of_area(on_unseen, start),
        min(enough) / start if enough else None,
    )


def _cost_of_start(trials: MeasuredTrials) -> float:
    outcome = trials.trial(trials.space.first[0], ALL).outcome
    assert isinstance(outcome, Measure), "the recipe as it is failed"
    return outcome.cost


def share_of_area(measures: Sequence[Measure], start: float) -> float:
    """Return the share of the area below 1.25 of a cost and above 80 % that is dominated.

    >>> share_of_area([Measure(0.75, 0.9, 0.9)], 1.0), share_of_area([Measure(1.0, 1.1, 1.1)], 1.0)
    (0.2, 0.2)
    """
    worst = _WORST_COST * start
    capped = [Measure(each.cost, each.retention, min(each.low, 1.0)) for each in measures]
    share = hypervolume(capped, worst, _WORST_RETENTION) / (worst * (1 - _WORST_RETENTION))
    return round(share, 6)


def print_table(model: str, seconds: float, figures: Sequence[Figures]) -> None:
    """Print a row for each way that was searched, and how much more tune has than the others."""
    print(f"\n{model}, {seconds:g} s")
    print("| search | seeds | points | hypervolume | unseen | fastest that keeps 98 % |")
    print("|---|---|---|---|---|---|")
    by_way = {way: [each for each in figures if each.way == way] for way in WAYS}
    for way in (way for way in WAYS if by_way[way]):
        print(f"| {way} | {' | '.join(_cells(by_way[way]))} |")
    for other in (way for way in (RANDOM, GRID) if by_way[way] and by_way[TUNE]):
        print(
            f"tune less {other}: {_difference(figures, other, 'volume')}; on unseen samples "
            f"{_difference(figures, other, 'unseen')}"
        )


def _cells(figures: Sequence[Figures]) -> list[str]:
    fastest = [each.fastest for each in figures if each.fastest is not None]
    return [
        str(len(figures)),
        f"{mean(each.points for each in figures):.1f}",
        _range([each.volume for each in figures]),
        _range([each.unseen for each in figures]),
        f"{mean(fastest):.3f}, {len(fastest)} of {len(figures)}" if fastest else "none",
    ]


def _range(values: Sequence[float]) -> str:
    ends = f" ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else ""
    return f"{mean(values):.3f}{ends}"


def _difference(figures: Sequence[Figures], other: str, name: str) -> str:
    """Return how much more tune has, by pairs of the same seed; the grid has none."""
    values = {(each.way, each.seed): float(getattr(each, name)) for each in figures}
    pairs = [
        own - values[other, 0 if other == GRID else seed]
        for (way, seed), own in values.items()
        if way == TUNE and (other, 0 if other == GRID else seed) in values
    ]
    return interval_text(pairs) if pairs else "no pair of one seed"


def interval_text(values: Sequence[float]) -> str:
    """Return the mean with its 95 % interval (Student), where there are several.

    >>> interval_text([0.1]), interval_text([0.1, 0.2, 0.3])
    ('+0.100', '+0.200 (-0.048 to +0.448)')
    """
    middle = mean(values)
    if len(values) == 1:
        return f"{middle:+.3f}"
    half = _T[min(len(values) - 2, len(_T) - 1)] * stdev(values) / len(values) ** 0.5
    return f"{middle:+.3f} ({middle - half:+.3f} to {middle + half:+.3f})"
