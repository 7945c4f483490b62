"""The front of a search as a table, and what it is held against as another of the same columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ...core.percents import percent_text
from ...core.results.tune_report import RetentionRange, TuneReport
from .model_table import ColumnTable, change_text, percent_cell
from .tune_text import START, front_points, point_text, reference_text
from .units import UNKNOWN, ms_text, size_text


class Judged(Protocol):
    """What has a cost and retains something: a point, or what it is held against."""

    @property
    def cost(self) -> float | None:
        """Ms or bytes."""

    @property
    def retention(self) -> RetentionRange | None:
        """A share, on the samples of the search."""

    @property
    def unseen(self) -> RetentionRange | None:
        """The same, on those that it did not see."""

    @property
    def figures(self) -> Mapping[str, float]:
        """What its report says."""


@dataclass(frozen=True)
class _Column:
    """One column: its heading, its place where room is short, and its cell of a point."""

    heading: str
    need: int
    cell: Callable[[TuneReport, Judged], str]


def front_table(report: TuneReport) -> ColumnTable:
    """Return a row for each point of the front, the cheapest first; the chosen one has a star."""
    points = front_points(report)
    return _table(report, "point", [(point_text(point, report), point) for point in points])


def reference_table(report: TuneReport) -> ColumnTable:
    """Return a row for each of those that the points are held against."""
    rows = [(reference_text(each), each) for each in report.references if not each.failure]
    return _table(report, "to compare with", rows)


def _table(report: TuneReport, heading: str, named: Sequence[tuple[str, Judged]]) -> ColumnTable:
    """Return a row for each, without columns that none has a figure for."""
    columns = _columns(report)
    rows = [[name, *(column.cell(report, each) for column in columns)] for name, each in named]
    places = [
        place
        for place in range(len(columns) + 1)
        if not place or any(row[place] != UNKNOWN for row in rows)
    ]
    headings = [heading, *(column.heading for column in columns)]
    needs = [0, *(column.need for column in columns)]
    return ColumnTable(
        tuple(headings[place] for place in places),
        tuple(tuple(row[place] for place in places) for row in rows),
        tuple(needs[place] for place in places),
    )


def _columns(report: TuneReport) -> list[_Column]:
    has_labels = report.measures != "agreement"
    times = _Column("latency", 1, lambda report, point: _time_cell(point))
    sizes = _Column("size", 6, lambda report, point: _size_cell(point))
    is_size = report.goal == "size"
    costs = [_Column("size", 1, sizes.cell), _Column("latency", 6, times.cell)]
    return [
        *(costs if is_size else [times, sizes]),
        _Column(
            f"vs\n{START}", 5, lambda report, point: change_text(_against_start(point, report))
        ),
        _Column(
            "retention" if has_labels else "agreement",
            4,
            lambda report, point: _share(point.retention),
        ),
        _Column("at\nleast", 2, lambda report, point: _least(point.retention)),
        _Column("unseen", 3, lambda report, point: _share(point.unseen)),
        _Column("unseen\nat least", 7, lambda report, point: _least(point.unseen)),
        _Column("agreement", 8, lambda report, point: percent_cell(point.figures.get("agreement"))),
    ]


def _time_cell(point: Judged) -> str:
    ms, low, high = (point.figures.get(name) for name in ("ms", "ms_low", "ms_high"))
    if not ms:
        return UNKNOWN
    band = f" ±{(high - low) / 2 / ms:.0%}" if low is not None and high is not None else ""
    return f"{ms_text(ms)}{band}"


def _size_cell(point: Judged) -> str:
    size = point.figures.get("bytes")
    return UNKNOWN if size is None else size_text(round(size))


def _against_start(point: Judged, report: TuneReport) -> float | None:
    start = next((each.cost for each in report.points if each.number == 0), None)
    return point.cost / start if start and point.cost is not None else None


def _share(retention: RetentionRange | None) -> str:
    return UNKNOWN if retention is None else percent_text(retention.value)


def _least(retention: RetentionRange | None) -> str:
    return UNKNOWN if retention is None else percent_text(retention.low)
