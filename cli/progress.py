"""Progress on stderr: a bar on a terminal, a line a stage in a log, nothing with --quiet."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..core.observer import SILENT, Observer


@contextmanager
def watching(*, quiet: bool) -> Iterator[Observer]:
    """Yield the observer that suits where stderr goes."""
    if quiet:
        yield SILENT
    elif sys.stderr.isatty():
        with _bar() as progress:
            yield _Bar(progress)
    else:
        yield _Lines()


class _Lines(Observer):
    def stage(self, name: str) -> None:
        print(f"rockpress: {name}", file=sys.stderr, flush=True)


class _Bar(Observer):
    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._task = progress.add_task("start", total=None)
        self._stage = ""

    def stage(self, name: str) -> None:
        self._stage = name
        self._progress.reset(self._task, description=name, total=None)

    def step(self, what: str, done: int, total: int | None = None) -> None:
        self._progress.update(
            self._task, description=f"{self._stage}: {what}", completed=done, total=total
        )


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
