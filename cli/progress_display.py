"""Progress on stderr: a bar on a terminal, a line a stage in a log, nothing with --quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..core.diagnostics import Diagnostic
from ..core.progress import Progress

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
        self._activity = ""
        self._started = self._last_line = time.monotonic()

    def of(self, target: str) -> Progress:
        return _Lines(self._warnings, target)

    def stage(self, name: str) -> None:
        self._stage = name
        self._begin("")
        self._say(f"rockpress: {self._name}{name}")

    def step(self, activity: str, done: int, total: int | None = None) -> None:
        if activity != self._activity:
            self._begin(activity)
        now = time.monotonic()
        if total and done and now - self._last_line >= _SAY_EVERY:
            self._last_line = now
            left = (now - self._started) / done * (total - done)
            line = f"{self._stage}: {activity} {done}/{total}, about {_duration(left)} left"
            self._say(f"rockpress: {self._name}{line}")

    def cached(self, name: str) -> None:
        self._say(f"rockpress: {self._name}{name}: cached")

    def note(self, text: str) -> None:
        self._say(f"rockpress: {text}")

    def _begin(self, activity: str) -> None:
        self._activity = activity
        self._started = self._last_line = time.monotonic()

    def end(self, status: str) -> None:
        if status == "failed":  # now, not only when the others are finished
            self.stage(status)


class _Bar(_WarningsOnly):
    """One row; each of several targets gets its own, in place of the one for all."""

    def __init__(self, warnings: _Warnings, progress: Any, target: str = "") -> None:
        super().__init__(warnings, target)
        self._progress = progress
        self._stage = "start" if not target else f"{target}: waiting"
        self._task = progress.add_task(self._stage, total=None, start=not target)

    def of(self, target: str) -> Progress:
        self._progress.update(self._task, visible=False)
        return _Bar(self._warnings, self._progress, target)

    def stage(self, name: str) -> None:
        self._stage = self._name + name
        self._progress.reset(self._task, description=self._stage, total=None)

    def step(self, activity: str, done: int, total: int | None = None) -> None:
        self._progress.update(
            self._task, description=f"{self._stage}: {activity}", completed=done, total=total
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


def _duration(seconds: float) -> str:
    """Return seconds as a person says them.

    >>> _duration(42.4), _duration(200), _duration(5400)
    ('42 s', '3 min', '1.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5000 else f"{seconds / 3600:.1f} h"


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
