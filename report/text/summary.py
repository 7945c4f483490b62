"""One line for each target, where there are several."""

from __future__ import annotations

from ...core.results.report import Report, TargetReport
from .latency_text import rate_text
from .model_table import percent_text
from .units import UNKNOWN, count_text, ms_text, size_text
from .verdict import WORDS

HEADINGS = ("target", "verdict", "retention", "size", "cycles", "latency", "fps")
NEEDS = (0, 1, 2, 4, 6, 3, 5)


def summary_rows(report: Report) -> list[tuple[str, ...]]:
    """Return a row of texts for each target; none when there is only one."""
    return [_row(target) for target in report.targets] if len(report.targets) > 1 else []


def _row(target: TargetReport) -> tuple[str, ...]:
    name = target.target or "ONNX Runtime"
    if target.error is not None or not target.models:
        return (name, WORDS[target.verdict], *[UNKNOWN] * (len(HEADINGS) - 2))
    result = target.models[-1]
    ms = result.latency[0].ms if result.latency else None
    return (
        name,
        WORDS[target.verdict],
        percent_text(target.retention.value),
        size_text(result.bytes),
        count_text(result.cycles),
        ms_text(ms),
        rate_text(result.throughput) or UNKNOWN,
    )
