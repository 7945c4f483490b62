"""Stages by name: announced when they begin, timed, and listed in the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..core.observer import Observer
from ..core.results import StageRun

Step = Callable[[str, int, int | None], None]


class Stages:
    """The stages of one run so far, in order."""

    def __init__(
        self, observer: Observer, runs: tuple[StageRun, ...] = (), target: str = ""
    ) -> None:
        self._observer = observer
        self._runs = list(runs)
        self._suffix = f" ({target})" if target else ""

    def of_target(self, target: str) -> Stages:
        """The stages of one of several targets: what has run so far, then its own."""
        return Stages(self._observer, self.runs, target)

    @contextmanager
    def stage(self, name: str) -> Iterator[Step]:
        """Announce a stage and time it; yields the function that takes its steps."""
        self._observer.stage(name + self._suffix)
        started = time.monotonic()
        yield self._observer.step
        self._runs.append(StageRun(name, "done", round(time.monotonic() - started, 3)))

    def skip(self, name: str) -> None:
        """Note that a stage was not asked for."""
        self._runs.append(StageRun(name, "skipped", 0.0))

    @property
    def runs(self) -> tuple[StageRun, ...]:
        """What has run so far."""
        return tuple(self._runs)
