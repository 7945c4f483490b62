"""How far a run is, and what it has left: by what its stages took before, and take now."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..core.progress import ExpectedStage
from .time_left import TimeLeft, duration

_SECONDS_TO_TELL = 5.0  # of an activity, until its steps tell how long it takes
_SHARE_TO_TELL = 0.1  # of all the time, what finished stages take until they tell of the others
_OVERTIME = 0.1  # of its time so far, what a stage that takes longer than before is given


@dataclass
class RunningStage:
    """A stage that has begun: its place among all (0 where nobody planned it), and its times."""

    name: str
    target: str
    number: int
    started: float
    expected: ExpectedStage | None
    activity: TimeLeft = field(default_factory=TimeLeft)
    seconds: float | None = None  # None until it has ended
    is_cached: bool = False

    @property
    def title(self) -> str:
        """Return its name with that of its target."""
        return f"{self.target}: {self.name}" if self.target else self.name

    @property
    def outcome(self) -> str:
        """Return what it took, in words."""
        return "cached" if self.is_cached else duration(self.seconds or 0.0)


class RunClock:
    """The stages of a run, of all its targets together; several threads may tell of them.

    Times are those of ``clock``, in seconds.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or (lambda: time.monotonic())  # looked up when asked
        self._lock = threading.Lock()
        self._waiting: list[ExpectedStage] = []
        self._at_once = 1
        self._started = self._clock()
        self.stages: list[RunningStage] = []
        self.planned = 0

    def plan(self, stages: Sequence[ExpectedStage], at_once: int) -> None:
        """Take what is to come, of which so many run side by side."""
        with self._lock:
            self._waiting, self.planned, self._at_once = list(stages), len(stages), at_once

    def begin(self, name: str, target: str = "") -> RunningStage:
        """Begin a stage."""
        with self._lock:
            fits = (each for each in self._waiting if (each.name, each.target) == (name, target))
            expected = next(fits, None)
            if expected is not None:
                self._waiting.remove(expected)
            number = self.planned - len(self._waiting) if expected else 0
            activity = TimeLeft(clock=self._clock)
            stage = RunningStage(name, target, number, self._clock(), expected, activity)
            self.stages.append(stage)
            return stage

    def finish(self, stage: RunningStage, *, is_cached: bool = False) -> None:
        """End a stage."""
        stage.seconds, stage.is_cached = self.elapsed(stage), is_cached

    def elapsed(self, stage: RunningStage) -> float:
        """Return the seconds that a stage has taken so far."""
        return self._clock() - stage.started

    @property
    def total(self) -> float:
        """Return the seconds of all so far."""
        return self._clock() - self._started

    def left_text(self, stage: RunningStage, activity: TimeLeft | None = None) -> str:
        """Return what the run has left; where nobody knows, what the stage's activity has."""
        left = self.seconds_left()
        if left is not None:
            return f"about {duration(left)} left"
        text = str(activity or stage.activity)
        return f"{text} of this step" if text and self.planned else text

    def seconds_left(self) -> float | None:
        """Return the seconds that the whole run has left, None where that cannot be said."""
        with self._lock:
            running = [stage for stage in self.stages if stage.seconds is None]
            waiting = list(self._waiting)
        coming = [*waiting, *(stage.expected for stage in running)]
        if not self.planned or any(each is None or each.seconds is None for each in coming):
            return None
        pace = self._pace([each for each in coming if each is not None])
        if pace is None:
            return None
        rest = sum((each.seconds or 0.0) * pace for each in waiting)
        return (rest + sum(self._left_of(stage, pace) for stage in running)) / self._at_once

    def _left_of(self, stage: RunningStage, pace: float) -> float:
        expected = stage.expected.seconds if stage.expected else None
        taken = self.elapsed(stage)
        left = (expected or 0.0) * pace - taken
        # a first step alone tells little of the others
        is_told = stage.activity.elapsed >= _SECONDS_TO_TELL
        by_steps = stage.activity.seconds if is_told else None
        return max(left if left > 0 else _OVERTIME * taken, by_steps or 0.0)

    def _pace(self, coming: Sequence[ExpectedStage]) -> float | None:
        """Return how much longer than before this run takes, None where that is not known.

        What the same model took is believed at once, and corrected by the finished stages, the
        more the longer they are. What other models took tells only the shares of the stages, so a
        part of this run has to be over before.
        """
        over = [
            (stage.seconds, stage.expected.seconds)
            for stage in self.stages
            if stage.seconds is not None
            and stage.expected is not None
            and stage.expected.seconds
            and not stage.is_cached
        ]
        now, before = (sum(column) for column in zip(*over, (0.0, 0.0), strict=True))
        tells = _SHARE_TO_TELL * (before + sum(each.seconds or 0.0 for each in coming))
        if all(each.is_measured for each in coming):
            return (now + tells) / (before + tells) if tells else 1.0
        return now / before if before and before >= tells else None
