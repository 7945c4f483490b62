"""What stages took in the last runs, beside the cache: a run says by it how long it goes on.

A file that somebody damaged, or two runs write at once, costs no more than that estimate.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import OutputError
from ...core.files import write_text
from .cache_folder import CacheFolder
from .plain_files import read_plain

_FILE = "stage-times.json"
_MOST_RUNS = 64
_MOST_STAGES = 64
_LONGEST = 1e7  # seconds that can be meant


@dataclass(frozen=True)
class RunTimes:
    """The seconds of the stages of one run, by their names; ``work`` says of which work."""

    work: str
    seconds: Mapping[str, float]


class StageTimes:
    """The times of the last runs, in the folder of a cache."""

    def __init__(self, folder: Path) -> None:
        self._folder = CacheFolder(folder)
        self._file = folder / _FILE

    def runs(self) -> list[RunTimes]:
        """Return the runs, the newest last; those of a file that is none of ours are none."""
        with suppress(OSError, ValueError, RecursionError, TypeError, KeyError, AttributeError):
            entries = json.loads(read_plain(self._file))["runs"]
            return [run for run in map(_run_of, entries[-_MOST_RUNS:]) if run is not None]
        return []

    def of_work(self, work: str) -> Mapping[str, float]:
        """Return the seconds of each stage in the last run of the same work that had it."""
        seconds: dict[str, float] = {}
        for run in self.runs():
            if run.work == work:
                seconds |= run.seconds
        return seconds

    def add(self, run: RunTimes) -> None:
        """Keep the times of a run; where that is not possible nothing is lost."""
        runs = [*self.runs(), run][-_MOST_RUNS:]
        entries = [{"work": each.work, "seconds": dict(each.seconds)} for each in runs]
        with suppress(OSError, OutputError):
            self._folder.make()
            if not self._file.is_symlink():
                text = json.dumps({"schema": 1, "runs": entries})
                write_text(self._file, text, is_result=False)

    def clear(self) -> None:
        """Forget all times."""
        with suppress(OSError, OutputError):
            self._folder.require_own()
            self._file.unlink(missing_ok=True)


def _run_of(entry: Any) -> RunTimes | None:
    work, seconds = entry["work"], entry["seconds"]
    is_told = isinstance(work, str) and isinstance(seconds, dict) and len(seconds) <= _MOST_STAGES
    return RunTimes(work, seconds) if is_told and all(map(_is_time, seconds.values())) else None


def _is_time(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and 0 <= value <= _LONGEST
