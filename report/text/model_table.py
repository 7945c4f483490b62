"""The table of the forms of a model: one row a form, one column a figure, the most needed first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...core.percents import percent_text
from ...core.results.model_figures import ModelRow
from ...core.results.report import TargetReport
from .latency_text import latency_cell, rate_text
from .units import UNKNOWN, count_text, memory_cell, size_text

_REFERENCE = "reference-float16"
# a line end where a narrow table breaks the heading
_AGAINST = "vs\nfloat16"


@dataclass(frozen=True)
class Column:
    """One column: its heading, its cell of a form, and its place among all where room is short."""

    heading: str
    need: int
    cell: Callable[[TargetReport, ModelRow], str]


@dataclass(frozen=True)
class ColumnTable:
    """Headings, rows with one cell a heading, and how needed each column is, 0 for the most."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    needs: tuple[int, ...]


def model_table(target: TargetReport) -> ColumnTable:
    """Return the forms of the model, without columns that none has a figure for."""
    rows = [[column.cell(target, row) for column in COLUMNS] for row in target.models]
    filled = [any(row[place] != UNKNOWN for row in rows) for place in range(len(COLUMNS))]
    columns = [column for column, is_filled in zip(COLUMNS, filled, strict=True) if is_filled]
    return ColumnTable(
        tuple(column.heading for column in columns),
        tuple(tuple(column.cell(target, row) for column in columns) for row in target.models),
        tuple(column.need for column in columns),
    )


def change_text(ratio: float | None) -> str:
    """Return a ratio as a change.

    >>> change_text(0.526), change_text(1.0), change_text(None)
    ('-47%', '0%', '-')
    """
    if ratio is None:
        return UNKNOWN
    per_cent = round(100 * (ratio - 1))
    return f"{per_cent:+d}%" if per_cent else "0%"


def percent_cell(value: float | None) -> str:
    """Return a share in per cent, a dash for None.

    >>> percent_cell(0.98571), percent_cell(None)
    ('98.6%', '-')
    """
    return UNKNOWN if value is None else percent_text(value)


def _latency(_target: TargetReport, row: ModelRow) -> str:
    return latency_cell(row.latency[0]) if row.latency else UNKNOWN


def _accuracy(_target: TargetReport, row: ModelRow) -> str:
    return UNKNOWN if row.accuracy is None else f"{row.accuracy.value:.4f}"


def _retention(target: TargetReport, row: ModelRow) -> str:
    return percent_cell(target.retention.value) if row is target.models[-1] else UNKNOWN


def _size_against(target: TargetReport, row: ModelRow) -> str:
    reference = _reference_of(target, row)
    return change_text(row.bytes / reference.bytes if reference and reference.bytes else None)


def _time_against(target: TargetReport, row: ModelRow) -> str:
    reference = _reference_of(target, row)
    times = [form.predicted.ms for form in (row, reference) if form and form.predicted]
    is_timed = len(times) == 2 and all(times)
    return change_text((times[0] or 0) / (times[1] or 1) if is_timed else None)


def _reference_of(target: TargetReport, row: ModelRow) -> ModelRow | None:
    """Return the original in float16, for another form that was compiled as it was."""
    is_compiled = row.cycles is not None and row.stage != _REFERENCE
    return target.model(_REFERENCE) if is_compiled else None


COLUMNS = (
    Column("model", 0, lambda target, row: row.stage),
    Column("size", 2, lambda target, row: size_text(row.bytes)),
    Column(_AGAINST, 8, _size_against),
    Column("params", 11, lambda target, row: count_text(row.parameters)),
    Column("MACs", 10, lambda target, row: count_text(row.macs)),
    Column("cycles", 9, lambda target, row: count_text(row.cycles)),
    Column("memory", 6, lambda target, row: memory_cell(row.memory)),
    Column("latency", 1, _latency),
    Column(_AGAINST, 7, _time_against),
    Column("fps", 5, lambda target, row: rate_text(row.throughput) or UNKNOWN),
    Column("accuracy", 4, _accuracy),
    Column("retention", 3, _retention),
)
