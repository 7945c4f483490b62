"""How long an activity goes on, from how long what is done of it took."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

_SECONDS_TO_SAY = 0.5  # less is said as 0


class TimeLeft:
    """The time that an activity has left, by its steps so far, and by when it ends at the latest.

    Times are those of ``clock``, in seconds; ``deadline`` is infinite where there is none.
    """

    def __init__(
        self, deadline: float = math.inf, clock: Callable[[], float] | None = None
    ) -> None:
        self.deadline = deadline
        self._clock = clock or time.monotonic
        self.begin("")

    def begin(self, activity: str) -> None:
        """Begin another activity."""
        self.activity = activity
        self._started = self._clock()
        self._ends = math.inf

    def step(self, activity: str, done: int, total: int | None) -> None:
        """Note that ``done`` of ``total`` are finished of an activity."""
        if activity != self.activity:
            self.begin(activity)
        now = self._clock()
        self._ends = math.inf
        if total and done:
            self._ends = now + (now - self._started) / done * (total - done)

    @property
    def elapsed(self) -> float:
        """Return the seconds since the activity began."""
        return self._clock() - self._started

    @property
    def seconds(self) -> float | None:
        """Return the seconds left, None where nothing is known of it."""
        ends = min(self._ends, self.deadline)
        return None if ends == math.inf else max(0.0, ends - self._clock())

    def __str__(self) -> str:
        """Return the time left in words, empty where nothing is known of it.

        That is so too where by the steps it should be over: what still goes on is not counted.

        >>> left = TimeLeft(clock=iter([0.0, 0.0, 10.0, 15.0]).__next__)
        >>> left.step("sweep", 2, 10)
        >>> str(left)
        'about 35 s left'
        """
        seconds = self.seconds
        if seconds is None:
            return ""
        by = "about" if self._ends <= self.deadline else "at most"
        if by == "about" and seconds < _SECONDS_TO_SAY:
            return ""
        return f"{by} {duration(seconds)} left"


def duration(seconds: float) -> str:
    """Return seconds as a person says them.

    >>> duration(42.4), duration(200), duration(5400)
    ('42 s', '3 min', '1.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5000 else f"{seconds / 3600:.1f} h"
