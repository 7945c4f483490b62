"""Progress on stderr: a bar on a terminal, a line a stage in a log, nothing with --quiet."""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..core.diagnostics import Diagnostic
from ..core.progress import Progress
from .time_left import TimeLeft, duration

_SAY_EVERY = 30.0  # seconds between two lines of one stage in a log


@contextmanager
def watching(*, quiet: bool) -> Iterator[Progress]:
    """Yield the progress that suits where stderr goes."""
    warnings = _Warnings()
    if quiet:
        yield _WarningsOnly(warnings)
    elif sys.stderr.isatty():
        with _bar() as progress:
            yield _Bar(warnings, progress)
    else:
        yield _Lines(warnings)


class _Warnings:
    """The warnings that were shown, of all targets together."""

    def __init__(self) -> None:
        self.shown: set[tuple[str, str]] = set()

    def lines(self, diagnostic: Diagnostic, name: str) -> list[str]:
        from .show import warning_lines

        diagnostic = diagnostic.rendered()
        key = diagnostic.code, diagnostic.text
        if key in self.shown:  # of another target, or of one that is built again
            return []
        self.shown.add(key)
        return warning_lines(diagnostic, name)


class _WarningsOnly(Progress):
    """Shows warnings at once; nothing else."""

    def __init__(self, warnings: _Warnings, target: str = "") -> None:
        self._name = f"{target}: " if target else ""
        self._warnings = warnings

    def of(self, target: str) -> Progress:
        return _WarningsOnly(self._warnings, target)

    def warn(self, diagnostic: Diagnostic) -> None:
        for line in self._warnings.lines(diagnostic, self._name):
            self._say(line)

    @property
    def shown(self) -> frozenset[tuple[str, str]]:
        return frozenset(self._warnings.shown)

    def _say(self, line: str) -> None:
        # in one piece: several threads may write
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


class _Lines(_WarningsOnly):
    """A line a stage, and now and then one that says how far a long one is."""

    def __init__(self, warnings: _Warnings, target: str = "") -> None:
        super().__init__(warnings, target)
        self._stage = ""
        self._left = TimeLeft()
        self._last_line = time.monotonic()

    def of(self, target: str) -> Progress:
        return _Lines(self._warnings, target)

    def before(self, deadline: float) -> Progress:
        limited = copy.copy(self)
        limited._left = TimeLeft(deadline)
        return limited

    def stage(self, name: str) -> None:
        self._stage = name
        self._left.begin("")
        self._last_line = time.monotonic()
        self._say(f"rockpress: {self._name}{name}")

    def step(self, activity: str, done: int, total: int | None = None) -> None:
        now = time.monotonic()
        if activity != self._left.activity:
            self._last_line = now
        self._left.step(activity, done, total)
        if total and done and now - self._last_line >= _SAY_EVERY:
            self._last_line = now
            line = f"{self._stage}: {activity} {done}/{total}, {self._left}"
            self._say(f"rockpress: {self._name}{line}")

    def cached(self, name: str) -> None:
        self._say(f"rockpress: {self._name}{name}: cached")

    def note(self, text: str) -> None:
        self._say(f"rockpress: {text}")

    def end(self, status: str) -> None:
        if status == "failed":  # now, not only when the others are finished
            self.stage(status)


class _Bar(_WarningsOnly):
    """One row; each of several targets gets its own, in place of the one for all."""

    def __init__(self, warnings: _Warnings, progress: Any, target: str = "") -> None:
        super().__init__(warnings, target)
        self._progress = progress
        self._stage = "start" if not target else f"{target}: waiting"
        self._left = TimeLeft()
        self._task = progress.add_task(self._stage, total=None, start=not target, left=self._left)

    def of(self, target: str) -> Progress:
        self._progress.update(self._task, visible=False)
        return _Bar(self._warnings, self._progress, target)

    def before(self, deadline: float) -> Progress:
        limited = copy.copy(self)
        limited._left = TimeLeft(deadline)
        return limited

    def stage(self, name: str) -> None:
        self._stage = self._name + name
        self._left.begin("")
        self._progress.reset(self._task, description=self._stage, total=None, left=self._left)

    def step(self, activity: str, done: int, total: int | None = None) -> None:
        self._left.step(activity, done, total)
        self._progress.update(
            self._task,
            description=f"{self._stage}: {activity}",
            completed=done,
            total=total,
            left=self._left,
        )

    def cached(self, name: str) -> None:
        self._progress.update(
            self._task, description=f"{self._name}{name}: cached", completed=1, total=1
        )

    def note(self, text: str) -> None:
        self._say(f"rockpress: {text}")

    def _say(self, line: str) -> None:
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def end(self, status: str) -> None:
        self._progress.update(self._task, description=self._name + status, completed=1, total=1)
        self._progress.stop_task(self._task)


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn
    from rich.text import Text

    class Times(ProgressColumn):
        """The time of a stage so far, and what its activity has left."""

        def render(self, task: Any) -> Text:
            left = str(task.fields["left"])
            return Text(", ".join(filter(None, [duration(task.elapsed or 0), left])))

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Times(),
        console=Console(stderr=True),
        transient=True,
    )
