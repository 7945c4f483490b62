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
UNKNOWN = "time left unknown"
_SECONDS_TO_SAY = 0.5  # of a least time, below which it says nothing


@dataclass(frozen=True)
class RunTime:
    """Seconds that a run has left; ``is_least`` where it may be far more."""

    seconds: float
    is_least: bool = False

    def __str__(self) -> str:
        """Return it in words."""
        if self.is_least and self.seconds < _SECONDS_TO_SAY:
            return UNKNOWN
        return f"{'at least' if self.is_least else 'about'} {duration(self.seconds)} left"


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

    def left_text(self, stage: RunningStage) -> str:
        """Return what the run has left; where nobody knows, what the stage's activity has.

        A command of one stage says that alone, and nothing where it is not known.
        """
        if not self.planned:
            return str(stage.activity)
        left = self.left()
        of_run = str(left) if left is not None else UNKNOWN
        of_step = str(stage.activity)
        return f"{of_step} of this step" if of_run == UNKNOWN and of_step else of_run

    def left(self) -> RunTime | None:
        """Return what the whole run has left, None where that cannot be said."""
        with self._lock:
            running = [stage for stage in self.stages if stage.seconds is None]
            waiting = list(self._waiting)
        coming = [*waiting, *(stage.expected for stage in running)]
        if not self.planned or any(each is None or each.seconds is None for each in coming):
            return None
        pace = self._pace([each for each in coming if each is not None])
        if pace is None:
            return None
        rest = sum((each.seconds or 0.0) * pace.of(each.kind) for each in waiting)
        parts = [self._left_of(stage, pace) for stage in running]
        seconds = (rest + sum(part.seconds for part in parts)) / self._at_once
        return RunTime(seconds, any(part.is_least for part in parts))

    def _left_of(self, stage: RunningStage, pace: _Pace) -> RunTime:
        """Return what a stage has left: at least that, once it takes longer than before."""
        expected = stage.expected
        whole = (expected.seconds or 0.0) * pace.of(expected.kind) if expected else 0.0
        left = whole - self.elapsed(stage)
        # a first step alone tells little of the others
        is_told = stage.activity.elapsed >= _SECONDS_TO_TELL
        by_steps = stage.activity.seconds if is_told else None
        return RunTime(max(left, by_steps or 0.0, 0.0), is_least=left <= 0)

    def _pace(self, coming: Sequence[ExpectedStage]) -> _Pace | None:
        """Return how much longer than before this run takes, None where that is not known.

        What this machine took is believed at once, and corrected by the finished stages, the more
        the longer they are. What another took tells only the shares of the stages, so a part of
        this run has to be over before.
        """
        over = [
            (stage.expected.kind, stage.seconds, stage.expected.seconds)
            for stage in self.stages
            if stage.seconds is not None
            and stage.expected is not None
            and stage.expected.seconds
            and not stage.is_cached
        ]
        now = sum(seconds for _, seconds, _ in over)
        before = sum(seconds for *_, seconds in over)
        tells = _SHARE_TO_TELL * (before + sum(each.seconds or 0.0 for each in coming))
        if all(each.is_measured for each in coming):
            return _Pace((now + tells) / (before + tells) if tells else 1.0, tells, over)
        return _Pace(now / before, tells, over) if before and before >= tells else None


@dataclass(frozen=True)
class _Pace:
    """How much longer than before all takes, and work of one kind by what is ``over`` of it.

    ``over`` has kind, seconds now and seconds before of each stage; so many seconds as ``tells`` of
    a kind count as much as all kinds together.
    """

    whole: float
    tells: float
    over: Sequence[tuple[str, float, float]]

    def of(self, kind: str) -> float:
        """Return that of a kind of work."""
        own = [(now, before) for each, now, before in self.over if each == kind]
        if not own or len(own) == len(self.over):
            return self.whole
        now, before = sum(each for each, _ in own), sum(each for _, each in own)
        return (now + self.tells * self.whole) / (before + self.tells)
