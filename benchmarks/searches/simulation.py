"""A cluster in simulated time: workers that are slow, stand still or are lost, and no real work.

The search itself is the real one. When it waits, the next event of the cluster takes place.
"""

from __future__ import annotations

import heapq
import random
import zlib
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from rockpress.pipeline.search.points import Failure, Measure, Outcome, Point
from rockpress.pipeline.search.space import Knob, Space

SAMPLES = (100, 1000)  # of the two rungs that are measured
MOST_STARTS = 3  # as cluster_runner.py has it
SPACE = Space(
    (
        Knob("prune", (0, 5, 10, 15, 20, 25, 30, 35, 40, 50)),
        Knob("rounds", (1, 2, 3), counts=lambda before: before["prune"] != 0),
        Knob("recover", ("least-squares", "none"), counts=lambda before: before["prune"] != 0),
        Knob("scheme", ("w8a8", "w4a16", "float16")),
        Knob(
            "method",
            ("auto", "mse", "min-max", "kl", "percentile", "gptq"),
            counts=lambda before: before["scheme"] != "float16",
        ),
        Knob("mixed", (0, 2, 5, 10, 15, 20), counts=lambda before: before["scheme"] == "w8a8"),
        Knob("calib-count", (64, 128, 256, 512)),
        Knob("size", (160, 192, 224, 256)),
    )
)


@dataclass(frozen=True)
class Troubles:
    """Shares of trials that take ``slower`` times as long, and whose worker is lost in them."""

    stragglers: float = 0.05
    slower: float = 8.0
    losses: float = 0.02


@dataclass(order=True)
class _Event:
    at: float
    number: int
    future: Future[Outcome] = field(compare=False)
    work: tuple[Point, int, int] = field(compare=False)
    is_loss: bool = field(compare=False, default=False)


@dataclass
class SimulatedCluster:
    """Evaluates a toy whose truth is known by so many workers; seconds are drawn from ``times``."""

    workers: int
    times: Mapping[int, Sequence[float]]
    troubles: Troubles
    seed: int = 0
    rungs: int = 3
    now: float = 0.0
    busy: float = 0.0  # seconds of workers at work, what was lost too
    lost: int = 0
    _queue: deque[tuple[Future[Outcome], Point, int, int]] = field(default_factory=deque)
    _events: list[_Event] = field(default_factory=list)
    _number: int = 0

    def clock(self) -> float:
        """Return the simulated time in seconds."""
        return self.now

    def submit(self, point: Point, rung: int) -> Future[Outcome]:
        """Begin to measure a point, as soon as a worker is free."""
        future: Future[Outcome] = Future()
        if rung == 0:
            future.set_result(Measure(true_figures(point)[0]))
            return future
        self._queue.append((future, point, rung, 1))
        self._begin()
        return future

    def wait(
        self, futures: Collection[Future[Outcome]], _seconds: float | None
    ) -> set[Future[Outcome]]:
        """Let time pass until one of the futures is done; return those that are."""
        while not (done := {future for future in futures if future.done()}):
            self._next_event()
        return done

    def _begin(self) -> None:
        while self._queue and len(self._events) < self.workers:
            future, point, rung, start = self._queue.popleft()
            chance = self._chance(point, rung, start)
            seconds = chance.choice(self.times[rung])
            if chance.random() < self.troubles.stragglers:
                seconds *= self.troubles.slower
            is_loss = chance.random() < self.troubles.losses
            seconds *= chance.random() if is_loss else 1.0
            self._number += 1
            self.busy += seconds
            event = _Event(self.now + seconds, self._number, future, (point, rung, start), is_loss)
            heapq.heappush(self._events, event)

    def _next_event(self) -> None:
        event = heapq.heappop(self._events)
        self.now = event.at
        point, rung, start = event.work
        if not event.is_loss:
            event.future.set_result(_measured(point, rung, self._chance(point, rung, 0)))
        elif start == MOST_STARTS:
            event.future.set_result(Failure("the workers that ran it were lost"))
        else:
            self.lost += 1
            self._queue.appendleft((event.future, point, rung, start + 1))
        self._begin()

    def _chance(self, point: Point, rung: int, start: int) -> random.Random:
        """Return the chance of one start of a trial, whenever that is."""
        return random.Random(zlib.crc32(f"{self.seed} {point.digest} {rung} {start}".encode()))


def true_figures(point: Point) -> tuple[float, float]:
    """Return ms and retention that a point of the toy truly has."""
    number = {name: float(value) for name, value in point.settings if isinstance(value, int)}
    prune, mixed = number.get("prune", 0.0) / 100, number.get("mixed", 0.0) / 100
    scheme, method = point["scheme"], str(point["method"] or "")
    width = {"w8a8": 1 + mixed, "w4a16": 1.2, "float16": 1.4}[str(scheme)]
    share = (number["size"] / 256) ** 2
    lost = prune**2 * (0.6 - 0.1 * number.get("rounds", 0))
    lost += 0.02 if point["recover"] == "none" else 0.0
    lost += 0.12 * (1 - number["size"] / 256)
    if scheme != "float16":
        rank = SPACE.knobs[4].values.index(method)
        lost += 0.005 + 0.004 * rank + 0.03 * max(0.0, 0.1 - mixed)
        lost += 0.4 / number["calib-count"]
    return 10 * (1 - prune) * width * share, 1 - lost


def _measured(point: Point, rung: int, chance: random.Random) -> Outcome:
    cost, true = true_figures(point)
    count = SAMPLES[rung - 1]
    seen = sum(chance.random() < true for _ in range(count)) / count
    half = 1.96 * (max(seen * (1 - seen), 1 / count) / count) ** 0.5
    return Measure(cost, seen, seen - half, seen + half)
