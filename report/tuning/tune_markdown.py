"""A search as Markdown, for a job summary or a pull request, the verdict first."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from ...core.results.tune_report import TuneReport
from ..formats.md import escaped, markdown_table
from ..text.tune_tables import front_table, reference_table
from ..text.tune_text import (
    failure_lines,
    search_line,
    table_notes,
    tune_verdict,
)
from .setting_effects import HEADINGS, NOTE, effect_rows


def tune_markdown(report: TuneReport) -> str:
    """Return the verdict, the front, what each value of an option came to, and what failed."""
    verdict = tune_verdict(report)
    mark = "✅" if verdict.verdict == "pass" else "❌"
    parts = [
        f"# rockpress tune: {mark} {verdict.word}",
        escaped(str(verdict)),
        f"**{escaped(PurePath(report.model).name)}** · {escaped(search_line(report))}",
    ]
    table = front_table(report)
    if table.rows:
        parts += ["## The front", markdown_table(table.headings, table.rows)]
        beside = reference_table(report)
        if beside.rows:
            parts += ["## Beside it", markdown_table(beside.headings, beside.rows)]
        parts.append(_listed(table_notes(report)))
    if rows := effect_rows(report):
        parts += ["## What each option came to", markdown_table(HEADINGS, rows), NOTE]
    if failures := list(failure_lines(report)):
        parts += ["## Failed", _listed(failures)]
    return "\n\n".join(parts) + "\n"


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {escaped(line)}" for line in lines)
