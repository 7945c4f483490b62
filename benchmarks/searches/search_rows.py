"""Trials that were measured, a line each in a file that only grows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rockpress.core.results.tune_report import Setting
from rockpress.pipeline.search.points import Failure, Measure, Outcome, Point


@dataclass(frozen=True)
class TrialRow:
    """What a stage of a point gave: ms and retention with its interval, or a failure.

    ``seconds`` are the CPU seconds of all its processes, ``wall`` the seconds that it took under
    the ``load`` of the machine.
    """

    model: str
    settings: dict[str, Setting]
    rung: int
    seconds: float
    wall: float
    load: float
    cost: float | None = None
    retention: float | None = None
    low: float = 0.0
    high: float = 1.0
    failure: str = ""

    @property
    def point(self) -> Point:
        """Return the point that it is of."""
        return Point.of(self.settings)

    @property
    def outcome(self) -> Outcome:
        """Return what it gave, as a search takes it."""
        if self.cost is None:
            return Failure(self.failure)
        return Measure(self.cost, self.retention, self.low, self.high)


def row_of(
    model: str, point: Point, rung: int, outcome: Outcome, times: tuple[float, float, float]
) -> TrialRow:
    """Return the row of an outcome; ``times`` are CPU seconds, seconds and load."""
    seconds, wall, load = (round(time, 2) for time in times)
    about = (model, dict(point.settings), rung, seconds, wall, load)
    if isinstance(outcome, Failure):
        return TrialRow(*about, failure=outcome.reason)
    ends = (outcome.retention or 0.0, outcome.low, outcome.high)
    retention, low, high = (round(end, 6) for end in ends)
    return TrialRow(*about, round(outcome.cost, 6), retention, low, high)


def read_rows(file: Path) -> list[TrialRow]:
    """Return the rows of a file, none where it is not there yet."""
    lines = file.read_text().splitlines() if file.is_file() else []
    return [TrialRow(**json.loads(line)) for line in lines]


def add_row(file: Path, row: TrialRow) -> None:
    """Add a row to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as out:
        out.write(json.dumps(asdict(row), separators=(",", ":")) + "\n")
