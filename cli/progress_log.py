"""Progress in a log: a line a stage, and how long all of them took at the end."""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Sequence

from ..core.diagnostics import Diagnostic
from ..core.progress import ExpectedStage, Progress
from .run_clock import UNKNOWN, RunClock, RunningStage
from .time_left import TimeLeft, duration
from .word_colours import with_colour

_SAY_EVERY = 30.0  # seconds between two lines of one stage


class ShownOnce:
    """The warnings and notes that were shown, of all targets and models together."""

    def __init__(self) -> None:
        self.shown: set[tuple[str, str]] = set()
        self._notes: set[str] = set()

    def is_new(self, note: str) -> bool:
        """Return whether a note comes for the first time: two forms of a model say the same."""
        is_new = note not in self._notes
        self._notes.add(note)
        return is_new

    def lines(self, diagnostic: Diagnostic, name: str) -> list[str]:
        """Return a warning as lines, none where it was shown before."""
        from .show import warning_lines

        diagnostic = diagnostic.rendered()
        key = diagnostic.code, diagnostic.text
        if key in self.shown:  # of another target, or of one that is built again
            return []
        self.shown.add(key)
        return warning_lines(diagnostic, name)


class WarningsOnly(Progress):
    """Shows warnings at once; nothing else."""

    def __init__(self, warnings: ShownOnce, target: str = "") -> None:
        self.target = target
        self.prefix = f"{target}: " if target else ""
        self._warnings = warnings

    def of(self, target: str) -> Progress:
        """Return the progress of a target."""
        return WarningsOnly(self._warnings, target)

    def warn(self, diagnostic: Diagnostic) -> None:
        """Show a warning, unless it was shown."""
        for line in self._warnings.lines(diagnostic, self.prefix):
            self.say(line)

    @property
    def shown(self) -> frozenset[tuple[str, str]]:
        """Code and text of the warnings that were shown."""
        return frozenset(self._warnings.shown)

    def say(self, line: str) -> None:
        """Write a line."""
        # in one piece: several threads may write
        sys.stderr.write(f"{with_colour(line)}\n")
        sys.stderr.flush()


class StageProgress(WarningsOnly):
    """Keeps the time of stages and steps; what is shown of them is up to those that inherit.

    The copies that ``before`` makes are of the same stage, which they share by ``_current``.
    """

    def __init__(self, warnings: ShownOnce, clock: RunClock, target: str = "") -> None:
        super().__init__(warnings, target)
        self.clock = clock
        self._current: list[RunningStage] = []
        self._left = TimeLeft()

    @property
    def running(self) -> RunningStage | None:
        """The stage that runs."""
        return self._current[-1] if self._current else None

    def plan(self, stages: Sequence[ExpectedStage], at_once: int = 1) -> None:
        """Take which stages come."""
        self.clock.plan(stages, at_once)

    def before(self, deadline: float) -> Progress:
        """Return the progress of work that ends by then."""
        limited = copy.copy(self)
        limited._left = TimeLeft(deadline)
        return limited

    def stage(self, name: str) -> None:
        """Begin a stage; that before it is over."""
        self.finish()
        self._current.append(self.clock.begin(name, self.target))
        self._left.begin("")
        self.began(self._current[-1])

    def step(self, activity: str, done: int, total: int | None = None) -> None:
        """Note how far the activity of a stage is."""
        self._left.step(activity, done, total)
        if self.running is not None:
            self.running.activity = self._left

    def cached(self, name: str) -> None:
        """End the stage that runs: its result was there."""
        if self.running is None or self.running.name != name:
            self.say(f"rockpress: {self.prefix}{name}: cached")
        else:
            self.finish(is_cached=True)

    def note(self, text: str) -> None:
        """Tell what is no warning, unless it was told."""
        if self._warnings.is_new(text):
            self.say(f"rockpress: {text}")

    def finish(self, *, is_cached: bool = False) -> None:
        """End the stage that runs, if any."""
        if self.running is not None:
            stage = self._current.pop()
            self.clock.finish(stage, is_cached=is_cached)
            self.ended(stage)

    def began(self, stage: RunningStage) -> None:
        """Show that a stage has begun."""

    def ended(self, stage: RunningStage) -> None:
        """Show that a stage is over."""


def count_text(done: int, total: int | None) -> str:
    """Return how many are done, and of how many where that is known.

    >>> count_text(3, 8), count_text(3, None), count_text(0, None)
    ('3/8', '3', '')
    """
    return f"{done}/{total}" if total else str(done or "")


class LogLines(StageProgress):
    """A line a stage, and now and then one that says how far a long one is."""

    def __init__(self, warnings: ShownOnce, clock: RunClock, target: str = "") -> None:
        super().__init__(warnings, clock, target)
        self._last_line = time.monotonic()

    def of(self, target: str) -> Progress:
        """Return the progress of a target."""
        self.finish()
        return LogLines(self._warnings, self.clock, target)

    def began(self, stage: RunningStage) -> None:
        """Write its name, its place among all, and how long all of it goes on.

        That this is not known is said once.
        """
        self._last_line = time.monotonic()
        place = f" ({stage.number} of {self.clock.planned})" if stage.number else ""
        left = self.clock.left_text(stage)
        is_said = bool(left) and (left != UNKNOWN or stage.number == 1)
        self.say(f"rockpress: {stage.title}{place}{f', {left}' if is_said else ''}")

    def step(self, activity: str, done: int, total: int | None = None) -> None:
        """Write how far a stage is, where nothing was written for a while."""
        now = time.monotonic()
        if activity != self._left.activity:
            self._last_line = now
        super().step(activity, done, total)
        stage = self.running
        if stage and done and now - self._last_line >= _SAY_EVERY:
            self._last_line = now
            left = self.clock.left_text(stage)
            said = f", {left}" if left not in ("", UNKNOWN) else ""
            self.say(f"rockpress: {stage.title}: {activity} {count_text(done, total)}{said}")

    def end(self, status: str) -> None:
        """Write that a target has failed: now, not only when the others are finished."""
        self.finish()
        if status == "failed":
            self.say(f"rockpress: {self.prefix}{status}")

    def close(self) -> None:
        """Write what each stage of a run took."""
        self.finish()
        if self.clock.planned and len(self.clock.stages) > 1:
            took = ", ".join(f"{stage.title} {stage.outcome}" for stage in self.clock.stages)
            self.say(f"rockpress: {duration(self.clock.total)} in all: {took}")
