"""Stages by name: announced when they begin, timed, and listed in the report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ...core.errors import RockpressError
from ...core.progress import Progress
from ...core.results.report import StageRun
from ..caching.stage_cache import watch_hits


class StageLog:
    """The stages of one run so far, in order; a target's goes on from the ``runs`` before it."""

    def __init__(self, progress: Progress, runs: tuple[StageRun, ...] = ()) -> None:
        self._progress = progress
        self._runs = list(runs)

    @contextmanager
    def stage(self, name: str) -> Iterator[Progress]:
        """Announce a stage and time it; yield the progress for its steps.

        The time of one that was cached is that which it took when it ran.
        """
        self._progress.stage(name)
        started = time.monotonic()
        with watch_hits() as lookups:
            try:
                yield self._progress
            except RockpressError:
                self._note(name, "failed", time.monotonic() - started)
                raise
            if lookups.all_were_hits:
                self._progress.cached(name)
                self._note(name, "cached", lookups.seconds)
            else:
                self._note(name, "done", time.monotonic() - started)

    def skip(self, name: str) -> None:
        """Note that a stage was not asked for."""
        self._runs.append(StageRun(name, "skipped", 0.0))

    @property
    def runs(self) -> tuple[StageRun, ...]:
        """Return what has run so far."""
        return tuple(self._runs)

    def _note(self, name: str, status: str, seconds: float) -> None:
        self._runs.append(StageRun(name, status, round(seconds, 3)))
