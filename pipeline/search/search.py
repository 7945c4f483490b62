"""The search itself: points are asked for in batches, measured on rungs, and told in their order.

Each batch is asked for when the batch before the last is told, so that a slow point keeps nobody
waiting, and what is asked for does not depend on how many workers there are.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from typing import Protocol

from ...core.results.tune_report import End
from .front import is_dominated
from .journal import Journal
from .points import CUT_SHORT, Measure, Outcome, Point, Trial
from .sampler import Sampler

# batches that are at work at once
_DEPTH = 2
_Futures = Collection[Future[Outcome]]


class Evaluator(Protocol):
    """Measures points. On rung 0 the cost is predicted; the last rung sees all samples."""

    rungs: int

    def submit(self, point: Point, rung: int) -> Future[Outcome]:
        """Begin to measure a point on a rung. What goes wrong there is a Failure, not raised."""
        ...


@dataclass(frozen=True)
class SearchLimits:
    """When a search ends, and what it does not go on with.

    After so many ``trials`` or ``seconds``, whichever comes first. A point whose retention is
    surely below ``min_retention`` goes no further.
    """

    trials: int | None = None
    seconds: float | None = None
    batch: int = 4
    min_retention: float | None = None


@dataclass
class _Running:
    """A trial at work, with the measures that it is held against: those told when it was asked."""

    trial: Trial
    asked_as: int
    rivals: tuple[Measure, ...]
    is_done: bool = False


def _first_done(futures: _Futures, seconds: float | None) -> _Futures:
    return wait(futures, seconds, return_when=FIRST_COMPLETED)[0]


def _cut_short(running: _Running) -> None:
    running.trial = replace(running.trial, set_aside=CUT_SHORT)
    running.is_done = True


@dataclass
class Search:
    """One search. ``on_measured`` hears the trials so far each time that one was measured.

    ``on_told`` hears each when it has ended, in their order, ``on_over`` how many points are still
    at work when the time is over, if any.
    ``clock`` and ``wait_for_any``, which returns those of some futures that are done, at least one,
    are others in a simulation.
    """

    sampler: Sampler
    evaluator: Evaluator
    journal: Journal
    limits: SearchLimits
    on_measured: Callable[[Sequence[Trial]], None] = lambda trials: None
    clock: Callable[[], float] = time.monotonic
    on_told: Callable[[Trial], None] = lambda trial: None
    on_over: Callable[[int], None] = lambda count: None
    wait_for_any: Callable[[_Futures, float | None], _Futures] = _first_done
    told: list[Trial] = field(default_factory=list)
    _batches: list[list[_Running]] = field(default_factory=list)
    _futures: dict[Future[Outcome], _Running] = field(default_factory=dict)
    _points: set[Point] = field(default_factory=set)
    _end: float = math.inf
    _is_over_told: bool = False

    def run(self) -> tuple[Trial, ...]:
        """Return all trials in the order of asking. Raises what the journal raises."""
        if self.limits.seconds is not None:
            self._end = self.clock() + self.limits.seconds
        for _ in range(_DEPTH):
            self._ask_next_batch()
        while self._batches:
            while self._batches and all(running.is_done for running in self._batches[0]):
                self._tell_first_batch()
                self._ask_next_batch()
            if self._is_over:
                self._withdraw_what_waits()
                self._tell_over()
            if self._futures:
                left = None if self._is_over or self._end == math.inf else self._end - self.clock()
                for future in self.wait_for_any(self._futures, left):
                    self._take(future)
        return tuple(self.told)

    @property
    def ended_by(self) -> End:
        """Return what ended the search, once it has ended."""
        if self._is_over:
            return "time"
        return "trials" if len(self.told) == self.limits.trials else "space"

    @property
    def _is_over(self) -> bool:
        return self.clock() >= self._end

    def _ask_next_batch(self) -> None:
        if self._is_over:
            return
        batch = self._asked_batch()
        if batch:
            self._batches.append(batch)
        for running in batch:
            self._go_on(running)

    def _asked_batch(self) -> list[_Running]:
        """Return the next trials, fewer where the trials or the points come to their end."""
        asked = len(self.told) + sum(map(len, self._batches))
        room = self.limits.batch
        if self.limits.trials is not None:
            room = min(room, self.limits.trials - asked)
        rivals = tuple(trial.measure for trial in self.told if trial.measure is not None)
        batch: list[_Running] = []
        for number in range(asked, asked + room):
            new = self.sampler.ask(self._points)
            if new is None:
                break
            asked_as, point = new
            self._points.add(point)
            batch.append(_Running(Trial(number, point), asked_as, rivals))
        return batch

    def _go_on(self, running: _Running) -> None:
        """Bring a trial to the rung after those that it has, as far as the journal knows them."""
        trial = running.trial
        while not running.is_done:
            rung = len(trial.outcomes)
            reason = self._set_aside(running)
            if rung == self.evaluator.rungs or trial.failure or reason:
                running.trial, running.is_done = replace(trial, set_aside=reason), True
                return
            outcome = self.journal.outcome(trial.point, rung)
            if outcome is None:
                if not self._is_over:
                    self._futures[self.evaluator.submit(trial.point, rung)] = running
                else:
                    _cut_short(running)
                return
            trial = running.trial = replace(trial, outcomes=(*trial.outcomes, outcome))

    def _withdraw_what_waits(self) -> None:
        """Take back the trials that no worker has begun with."""
        for future, running in list(self._futures.items()):
            if future.cancel():
                del self._futures[future]
                _cut_short(running)

    def _tell_over(self) -> None:
        if self._futures and not self._is_over_told:
            self.on_over(len(self._futures))
        self._is_over_told = True

    def _take(self, future: Future[Outcome]) -> None:
        running = self._futures.pop(future)
        trial, outcome = running.trial, future.result()
        self.journal.add(trial.point, len(trial.outcomes), outcome)
        running.trial = replace(trial, outcomes=(*trial.outcomes, outcome))
        self._go_on(running)
        self.on_measured(self._so_far())

    def _set_aside(self, running: _Running) -> str:
        """Return why a trial does not go on to the next rung, "" where it does."""
        measure = running.trial.measure
        if measure is None or len(running.trial.outcomes) == self.evaluator.rungs:
            return ""
        least = self.limits.min_retention
        if least is not None and measure.high < least:
            return f"its retention is surely below {least:g}"
        if is_dominated(measure, running.rivals):
            return "another costs no more and surely retains more"
        return ""

    def _tell_first_batch(self) -> None:
        for running in self._batches.pop(0):
            self.sampler.tell(running.asked_as, running.trial.measure)
            self.told.append(running.trial)
            self.on_told(running.trial)

    def _so_far(self) -> list[Trial]:
        """Return the trials that something was measured of, those at work too."""
        at_work = [running.trial for batch in self._batches for running in batch]
        return [*self.told, *(trial for trial in at_work if trial.outcomes)]
