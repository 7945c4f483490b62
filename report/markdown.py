"""The report as Markdown, for a job summary or a pull-request comment."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.results import Report, TargetReport
from .table import to_tables
from .visible import visible


def to_markdown(report: Report) -> str:
    """The same table and lines as on the terminal, and the warnings with their hints."""
    parts = ["# rockpress: " + ("pass" if report.passed else "FAIL")]
    for table in to_tables(report):
        parts.append(f"## {table.title}")
        if table.rows:
            rows = [table.headings, ["---"] * len(table.headings), *table.rows]
            parts.append("\n".join(map(_row, rows)))
        parts.append("\n".join(f"- {_safe(line)}" for line in table.lines))
    warnings = [line for target in report.targets for line in _warnings(report, target)]
    if warnings:
        parts += ["## Warnings", "\n".join(warnings)]
    return "\n\n".join(parts) + "\n"


def _warnings(report: Report, target: TargetReport) -> list[str]:
    """One line a warning, which names its target where there are several."""
    name = f"{target.target}: " if len(report.targets) > 1 else ""
    return [
        f"- {name}`{one.code}`: {_safe(one.text)}. {_safe(one.hint)}" for one in target.warnings
    ]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_safe(cell) for cell in cells) + " |"


def _safe(text: str) -> str:
    """Names in a model may hold what Markdown or HTML would act on."""
    text = visible(text)
    for character in "\\`*_[]<>|":
        text = text.replace(character, f"\\{character}")
    return text
