"""How long a model is trained, and how fast at which time."""

from __future__ import annotations

import math
from dataclasses import dataclass

_WARM_UP = 0.05  # part of the schedule until the full rate


@dataclass(frozen=True)
class Schedule:
    """``steps`` mini-batches, or as many as can be done in ``seconds``, drawn by ``seed``."""

    steps: int = 2000
    seconds: float = 600.0
    seed: int = 0

    def done(self, step: int, elapsed: float) -> float:
        """Return the part of the schedule that is done, from 0 to 1."""
        return min(1.0, max(step / self.steps, elapsed / self.seconds))

    def rate(self, step: int, elapsed: float) -> float:
        """Return the rate over its highest: a short warm-up, then half a cosine down to 0.

        >>> schedule = Schedule(steps=100)
        >>> [round(schedule.rate(step, 0.0), 3) for step in (0, 5, 50, 100)]
        [0.0, 0.994, 0.5, 0.0]
        """
        done = self.done(step, elapsed)
        return min(1.0, done / _WARM_UP) * (1 + math.cos(math.pi * done)) / 2
