"""One line for each target, where there are several."""

from __future__ import annotations

from ...core.results.report import Report, TargetReport
from .units import UNKNOWN, count_text, ms_text, number_text, size_text
from .verdict import WORDS

HEADINGS = ("target", "verdict", "retention", "size", "cycles", "latency")


def summary_rows(report: Report) -> list[tuple[str, ...]]:
    """Return a row of texts for each target; none when there is only one."""
    return [_row(target) for target in report.targets] if len(report.targets) > 1 else []


def _row(target: TargetReport) -> tuple[str, ...]:
    name = target.target or "ONNX Runtime"
    if target.error is not None or not target.models:
        return (name, "failed" if target.error else UNKNOWN, *[UNKNOWN] * 4)
    result, retention = target.models[-1], target.retention.value
    ms = result.latency[0].ms if result.latency else None
    return (
        name,
        WORDS[target.verdict],
        number_text(retention, ".4f"),
        size_text(result.bytes),
        count_text(result.cycles),
        ms_text(ms),
    )
