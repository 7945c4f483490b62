"""What a trial may take: so long, and so much memory. One that takes more is ended."""

from __future__ import annotations

import math
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median

import psutil

from ...core.working_time import WorkingTime
from ...report.text.units import span_text

_LOOK_SECONDS = 0.5  # how often it is looked what a trial takes
_SECONDS_TO_END = 10  # of one that was told to; then it is killed
# of the median: trials of one search differ by what the cache has and by how long is searched
_TIMES, _ENOUGH = 10, 3
_LEAST_SECONDS, _FIRST_SECONDS = 30 * 60, 4 * 3600


@dataclass(frozen=True)
class TrialLimits:
    """Seconds in which it could work, and bytes of all its processes together."""

    seconds: float = math.inf
    bytes: float = math.inf

    def exceeded(self, seconds: float, used: float) -> str:
        """Return which limit was exceeded, "" where none was."""
        if seconds > self.seconds:
            return f"took more than {span_text(self.seconds)}"
        return f"took more than {self.bytes / 1e9:.1f} GB of memory" if used > self.bytes else ""


@dataclass
class TrialTimes:
    """How long the trials of a search took on each rung, which limits those to come.

    ``given`` is a limit of the user's; without, it is ten times the median, and no less than half
    an hour. Until three were measured on a rung, four hours.
    """

    given: float | None = None
    _seconds: dict[int, list[float]] = field(default_factory=dict)

    def add(self, rung: int, seconds: float) -> None:
        """Take note of a trial that ended by itself."""
        self._seconds.setdefault(rung, []).append(seconds)

    def limit(self, rung: int) -> float:
        """Return the seconds that the next trial on a rung may take."""
        if self.given is not None:
            return self.given
        seconds = self._seconds.get(rung, [])
        if len(seconds) < _ENOUGH:
            return _FIRST_SECONDS
        return max(_LEAST_SECONDS, _TIMES * median(seconds))


def wait_within(limits: TrialLimits, process: subprocess.Popen[bytes]) -> str:
    """Wait for a process and return "", or end it and return which limit it exceeded."""
    clock = WorkingTime()
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_SECONDS)
            return ""
        if excess := limits.exceeded(clock.seconds(), _resident_bytes(process.pid)):
            end_with_children(process)
            return excess


def end_with_children(process: subprocess.Popen[bytes]) -> None:
    """End a process and all below it: told to at first, so that it removes what it was making."""
    below = _below(process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_SECONDS_TO_END)
    for each in (*below, *_below(process.pid)):
        with suppress(psutil.Error):
            each.kill()
    process.kill()
    process.wait()


def _resident_bytes(number: int) -> float:
    total = 0.0
    with suppress(psutil.Error):
        for process in (psutil.Process(number), *_below(number)):
            with suppress(psutil.Error):
                total += process.memory_info().rss
    return total


def _below(number: int) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return list(psutil.Process(number).children(recursive=True))
    return []
