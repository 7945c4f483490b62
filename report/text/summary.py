"""One line for each target, where there are several."""

from __future__ import annotations

from ...core.results.report import Report, TargetReport
from .latency_text import rate_note, rate_text
from .model_table import percent_cell
from .units import UNKNOWN, count_text, memory_cell, ms_text, size_text
from .verdict import WORDS

HEADINGS = ("target", "verdict", "retention", "size", "memory", "cycles", "latency", "fps")
NEEDS = (0, 1, 2, 4, 6, 7, 3, 5)


def summary_rows(report: Report) -> list[tuple[str, ...]]:
    """Return a row of texts for each target; none when there is only one."""
    return [_row(target) for target in report.targets] if len(report.targets) > 1 else []


def summary_note(report: Report) -> str:
    """Return what is below that table, "" where there is nothing to say."""
    return rate_note(row for target in report.targets for row in target.models[-1:])


def _row(target: TargetReport) -> tuple[str, ...]:
    name = target.target or "ONNX Runtime"
    if target.error is not None or not target.models:
        return (name, WORDS[target.verdict], *[UNKNOWN] * (len(HEADINGS) - 2))
    result = target.models[-1]
    ms = result.latency[0].ms if result.latency else None
    return (
        name,
        WORDS[target.verdict],
        percent_cell(target.retention.value),
        size_text(result.bytes),
        memory_cell(result.memory),
        count_text(result.cycles),
        ms_text(ms),
        rate_text(result.throughput) or UNKNOWN,
    )
