"""Stages by name: announced when they begin, timed, and listed in the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ...core.errors import RockpressError
from ...core.progress import Observer
from ...core.results import Notice, StageRun
from ..caching.stage_cache import counted

Step = Callable[[str, int, int | None], None]


class Stages:
    """The stages of one run so far, in order."""

    def __init__(self, observer: Observer, runs: tuple[StageRun, ...] = ()) -> None:
        self._observer = observer
        self._runs = list(runs)

    def of_target(self, observer: Observer) -> Stages:
        """The stages of one of several targets: what has run so far, then its own."""
        return Stages(observer, self.runs)

    @contextmanager
    def stage(self, name: str) -> Iterator[Step]:
        """Announce a stage and time it; yields the function that takes its steps."""
        self._observer.stage(name)
        started = time.monotonic()
        with counted() as is_known:
            try:
                yield self._observer.step
            except RockpressError:
                self._note(name, "failed", started)
                raise
            if is_known():
                self._observer.cached(name)
            self._note(name, "cached" if is_known() else "done", started)

    def skip(self, name: str) -> None:
        """Note that a stage was not asked for."""
        self._runs.append(StageRun(name, "skipped", 0.0))

    def warn(self, notice: Notice) -> None:
        """Tell of a warning now; the report has it too."""
        self._observer.warn(notice)

    @property
    def runs(self) -> tuple[StageRun, ...]:
        """What has run so far."""
        return tuple(self._runs)

    def _note(self, name: str, status: str, started: float) -> None:
        self._runs.append(StageRun(name, status, round(time.monotonic() - started, 3)))
