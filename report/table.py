"""The report as rows of text: a table of the models, then lines on what they mean.

Pure functions: cli/ decides how a terminal shows them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..core.results import GateFigure, LatencyFigure, ModelRow, Report, TargetReport

HEADINGS = ("model", "size", "parameters", "MACs", "cycles", "latency", "accuracy")
_NONE = "-"


@dataclass(frozen=True)
class TextTable:
    """A title, the rows (one cell a heading), and the lines below."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[str, ...]


def to_tables(report: Report) -> list[TextTable]:
    """One table for each target."""
    return [_table(target) for target in report.targets]


def _table(target: TargetReport) -> TextTable:
    lines = [*_retention_lines(target), *_ratio_lines(target), *_gate_lines(target)]
    return TextTable(
        title=target.target or "ONNX Runtime only",
        headings=HEADINGS,
        rows=tuple(_row(row) for row in target.models),
        lines=tuple(lines),
    )


def _row(row: ModelRow) -> tuple[str, ...]:
    return (
        row.stage,
        size_text(row.bytes),
        count_text(row.parameters),
        count_text(row.macs),
        _NONE if row.cycles is None else f"{row.cycles:,}",
        latency_text(row.latency[0]) if row.latency else _NONE,
        _NONE if row.accuracy is None else f"{row.accuracy.value:.4f} {row.accuracy.runner}",
    )


def size_text(size: int) -> str:
    """Bytes in decimal units.

    >>> size_text(880_631), size_text(950)
    ('880.6 kB', '950 B')
    """
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"


def count_text(count: int | None) -> str:
    """A count in thousands or millions.

    >>> count_text(14_500_288), count_text(216_714), count_text(None)
    ('14.50 M', '216.7 k', '-')
    """
    if count is None:
        return _NONE
    if count >= 1_000_000:
        return f"{count / 1e6:.2f} M"
    return f"{count / 1e3:.1f} k" if count >= 1000 else str(count)


def latency_text(latency: LatencyFigure) -> str:
    """Milliseconds with their kind; an estimate with its band."""
    if latency.ms is None:
        return f"no estimate ({latency.kind})"
    if latency.kind == "npu-estimate" and latency.low is not None and latency.high is not None:
        return f"{latency.ms:.2f} ms ({latency.low:.2f}-{latency.high:.2f}) estimated, NPU"
    where = {"host": "measured, host CPU", "board": "measured, board"}[latency.kind]
    return f"{latency.ms:.2f} ms {where}"


def _retention_lines(target: TargetReport) -> list[str]:
    kept = target.retention
    similar = similarity_text(kept.agreement, kept.sqnr_db)
    if kept.value is None or kept.low is None or kept.high is None:
        why = "no labels, so no accuracy" if kept.metric is None else "no ratio for this metric"
        return [f"{similar} on {kept.samples} samples ({why})"]
    return [
        f"retention {kept.value:.4f} (95 % interval {kept.low:.4f} to {kept.high:.4f}) "
        f"of {kept.metric} on {kept.samples} samples; {similar}"
    ]


def similarity_text(agreement: float | None, sqnr_db: float) -> str:
    """How close outputs are to the baseline's, in words.

    >>> similarity_text(0.964, 19.7)
    'agreement with the baseline 96.4%, SQNR 19.7 dB'
    """
    noise = f"SQNR {'infinite' if math.isinf(sqnr_db) else f'{sqnr_db:.1f} dB'}"
    return noise if agreement is None else f"agreement with the baseline {agreement:.1%}, {noise}"


def _ratio_lines(target: TargetReport) -> list[str]:
    lines = []
    if target.pruning is not None:
        lines.append(f"pruned against unpruned, both int8: {_ratios(target.pruning)}")
    if any(value is not None for value in target.ratios.values()):
        lines.append(f"result against the original in float16: {_ratios(target.ratios)}")
    return lines


def _ratios(ratios: dict[str, float | None]) -> str:
    return ", ".join(
        f"{name.removesuffix('_ratio')} {value - 1:+.1%}"
        for name, value in ratios.items()
        if value is not None
    )


def _gate_lines(target: TargetReport) -> list[str]:
    if not target.gates:
        return ["verdict: no gate was set"]
    shown = ", ".join(_gate_text(gate) for gate in target.gates)
    verdict = "pass" if all(gate.passed for gate in target.gates) else "FAIL"
    return [f"verdict: {verdict} ({shown})"]


def _gate_text(gate: GateFigure) -> str:
    relation = "holds" if gate.passed else "does not hold"
    return f"{gate.name} {gate.limit:g} {relation}: {gate.value:.4g}"
