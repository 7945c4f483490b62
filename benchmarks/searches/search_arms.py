"""One search over measured trials, in the time that they took when they were measured."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count, product
from pathlib import Path
from typing import Any

from rockpress.pipeline.search.journal import Journal
from rockpress.pipeline.search.points import CUT_SHORT, Measure, Outcome, Point, Trial
from rockpress.pipeline.search.recipe_evaluator import ALL, PREDICTED
from rockpress.pipeline.search.sampler import OptunaSampler, Sampler
from rockpress.pipeline.search.search import Search, SearchLimits
from rockpress.pipeline.search.space import Space

from .measured_trials import MeasuredTrials
from .shared_work import Kind

TUNE, RANDOM, GRID = "tune", "random", "grid"
WAYS = (TUNE, RANDOM, GRID)
# nine runs as a person makes them: three budgets in three precisions
_GRID_PRUNE = (None, "latency=-10%", "latency=-30%")
_GRID_PRECISION: tuple[dict[str, Any], ...] = (
    {"scheme": "w8a8", "mixed": "off", "method": "auto"},
    {"scheme": "w8a8", "mixed": "auto", "method": "auto"},
    {"scheme": "float16"},
)
_WHOLE_RUNS = (PREDICTED, ALL)  # as a person makes them


def grid_points() -> tuple[Point, ...]:
    """Return the nine points of a person's grid, the likeliest first."""
    choices = product(_GRID_PRUNE, _GRID_PRECISION)
    rounds = {True: {}, False: {"rounds": None}}
    return tuple(
        Point.of({"prune": prune, **rounds[prune is None], **precision})
        for prune, precision in choices
    )


@dataclass
class GridSampler:
    """Asks for fixed points, one after the other."""

    points: Sequence[Point]

    def ask(self, tried: Collection[Point]) -> tuple[int, Point] | None:
        """Return the next point; None after the last."""
        left = [(number, point) for number, point in enumerate(self.points) if point not in tried]
        return left[0] if left else None

    def tell(self, number: int, measure: Measure | None) -> None:
        """Take what came of it, which changes nothing."""


@dataclass
class TimedEvaluator:
    """Measures points in the order of asking, by so many workers, in the time of the trials.

    ``now`` is the second at which the last measure was taken; from ``end`` on nothing is begun.
    """

    trials: MeasuredTrials
    stages: Sequence[int]
    workers: int
    end: float
    now: float = 0.0
    rungs: int = field(init=False)
    _waiting: deque[tuple[Point, int, Future[Outcome]]] = field(default_factory=deque)
    _at_work: list[tuple[float, int, Future[Outcome], Outcome]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)
    _paid: set[Kind] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.rungs = len(self.stages)

    def submit(self, point: Point, rung: int) -> Future[Outcome]:
        """Put a point behind those that wait for a worker; what it will cost takes no time."""
        future: Future[Outcome] = Future()
        stage = self.stages[rung]
        if stage == PREDICTED:
            future.set_result(self.trials.predicted(point))
        else:
            self._waiting.append((point, stage, future))
        return future

    def wait(
        self, futures: Collection[Future[Outcome]], _seconds: float | None
    ) -> list[Future[Outcome]]:
        """Return those that are done, in their order, else go on to when the next one is."""
        if done := [future for future in futures if future.done()]:
            return done
        while self._waiting and len(self._at_work) < self.workers:
            point, stage, future = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                row = self.trials.trial(point, stage)
                end = self.now + self.trials.pay(row, self._paid)
                heappush(self._at_work, (end, next(self._numbers), future, row.outcome))
        self.now, _number, future, outcome = heappop(self._at_work)
        future.set_result(outcome)
        return [future]


@dataclass(frozen=True)
class Searched:
    """The points of a search that came to their end, each with the second at which it did."""

    way: str
    seed: int
    seconds: float
    points: tuple[tuple[float, Trial], ...]
    rungs: int

    def whole(self) -> list[Trial]:
        """Return the points that were measured on all samples."""
        return [t for _, t in self.points if len(t.outcomes) == self.rungs and not t.failure]


def searched(
    trials: MeasuredTrials, way: str, seed: int, seconds: float, workers: int = 1
) -> Searched:
    """Search for so many seconds; a point counts that came to its end within them."""
    stages = _WHOLE_RUNS if way == GRID else trials.stages
    evaluator = TimedEvaluator(trials, stages, workers, seconds)
    at: dict[int, float] = {}

    def hear(so_far: Sequence[Trial]) -> None:
        for trial in so_far:
            if trial.has_ended(evaluator.rungs) and trial.set_aside != CUT_SHORT:
                at.setdefault(trial.number, evaluator.now)

    with tempfile.TemporaryDirectory() as folder:
        limits, journal = SearchLimits(seconds=seconds), Journal(Path(folder, "t.jsonl"), "")
        sampler = _sampler(trials.space, way, seed)
        search = Search(
            *(sampler, evaluator, journal, limits, hear),
            clock=lambda: evaluator.now,
            wait_for_any=evaluator.wait,
        )
        by_number = {trial.number: trial for trial in search.run()}
    points = [(end, by_number[number]) for number, end in sorted(at.items()) if end <= seconds]
    return Searched(way, seed, seconds, tuple(points), evaluator.rungs)


def _sampler(space: Space, way: str, seed: int) -> Sampler:
    if way == GRID:
        return GridSampler(grid_points())
    if way == RANDOM:
        return OptunaSampler(Space(space.knobs), seed, "random")
    return OptunaSampler(space, seed)
