"""A search space whose truth is known, and what measures its points on so many samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from rockpress.pipeline.search.points import Failure, Measure, Outcome, Point
from rockpress.pipeline.search.space import Knob, Space

SPACE = Space(
    (
        Knob("prune", (0, 10, 20, 30, 40)),
        Knob("rounds", (1, 2, 3), counts=lambda before: before["prune"] != 0),
        Knob("scheme", ("w8a8", "float16")),
        Knob("mixed", (0, 5, 10), counts=lambda before: before["scheme"] == "w8a8"),
    )
)
FIRST = tuple(
    SPACE.canonical(settings) for settings in ({}, {"scheme": "float16"}, {"prune": 20, "mixed": 5})
)


def true_figures(point: Point) -> tuple[float, float]:
    """Return the cost and the retention that the toy truly has."""
    prune = float(point["prune"] or 0)
    mixed = float(point["mixed"] or 0)
    is_float = point["scheme"] == "float16"
    cost = 10 * (1 - prune / 100) * (1.4 if is_float else 1 + mixed / 100)
    lost = (prune / 100) ** 2 * (0.6 - 0.1 * float(point["rounds"] or 1))
    return cost, 1 - lost - (0 if is_float else 0.03 * (1 - mixed / 15))


@dataclass
class Toy:
    """Measures the toy with samples of so many on each rung; counts what it was asked."""

    samples: tuple[int, ...] = (100, 1000)
    seed: int = 0
    fails: Callable[[Point], str] = lambda point: ""
    asked: Counter[tuple[str, int]] = field(default_factory=Counter)
    rungs: int = 3

    def outcome(self, point: Point, rung: int) -> Outcome:
        self.asked[point.digest, rung] += 1
        cost, retention = true_figures(point)
        if reason := self.fails(point):
            return Failure(reason)
        if rung == 0:
            return Measure(cost)
        count = self.samples[rung - 1]
        rng = np.random.default_rng([self.seed, rung, int(point.digest, 16) % 2**32])
        seen = float(rng.binomial(count, min(retention, 1.0))) / count
        half = 1.96 * (max(seen * (1 - seen), 1 / count) / count) ** 0.5
        return Measure(cost, seen, seen - half, seen + half)

    def submit(self, point: Point, rung: int) -> Future[Outcome]:
        future: Future[Outcome] = Future()
        future.set_result(self.outcome(point, rung))
        return future
