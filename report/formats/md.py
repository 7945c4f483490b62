"""Files that end in .md: Markdown for a job summary or a pull request, the verdict first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePath

from ...core.results.layer_rows import Feed
from ...core.results.report import GateFigure, Report, TargetReport
from ..text.board_layers_text import LAYER_HEADINGS, layer_rows
from ..text.changes import change_row
from ..text.escape import visible
from ..text.family_text import family_text
from ..text.feed_text import classes_text, input_text, output_text
from ..text.stage_text import stage_time, stages_time
from ..text.summary import HEADINGS, summary_note, summary_rows
from ..text.table import TextTable, to_tables, versions_of
from ..text.units import counted
from ..text.verdict import WORDS, gate_value, limit_text, target_verdict

_MARKS = {True: "✅", False: "❌"}
# What GitHub makes links or mentions of after Markdown is done: an empty comment ends the word.
_LINKED = re.compile(r"(?<=@)(?=\w)|(?<=#)(?=\d)|(?<=:)(?=//)|(?<=www)(?=\.)", re.IGNORECASE)


def render(report: Report) -> str:
    """Return the verdict, a summary when there are several targets, and each target in full."""
    mark = {"fail": "❌ ", "pass": "✅ "}.get(report.verdict, "")
    lines = [escaped(str(target_verdict(target))) for target in report.targets]
    several = len(lines) > 1
    parts = [f"# rockpress: {mark}{WORDS[report.verdict]}"]
    parts += ["\n".join(f"- {line}" for line in lines) if several else lines[0], *_about(report)]
    if report.next:
        parts.append("\n".join(["**next**", "", *(f"- {escaped(step)}" for step in report.next)]))
    if rows := summary_rows(report):
        parts.append(markdown_table(HEADINGS, map(_marked, rows)))
        parts += filter(None, [escaped(summary_note(report))])
    for target, table in zip(report.targets, to_tables(report), strict=True):
        parts += [f"## {escaped(table.title)}", *_target_parts(target, table)]
    return "\n\n".join(parts) + "\n"


def _about(report: Report) -> list[str]:
    """Return which model, and by which versions."""
    name = PurePath(str(report.recipe.get("model") or "")).name
    model = [f"**{escaped(name)}**"] if name else []
    line = " · ".join([*model, *map(escaped, versions_of(report))])
    family = [escaped(family_text(report.family))] if report.family else []
    return [line, *family] if line else family


def _target_parts(target: TargetReport, table: TextTable) -> list[str]:
    parts = []
    if target.gates:
        parts.append(markdown_table(("gate", "limit", "value", ""), map(_gate_row, target.gates)))
    if table.models:
        parts.append(markdown_table(table.models.headings, table.models.rows))
        parts += filter(None, [escaped(table.note)])
    if target.changes:
        headings = ("since the last report", "before", "now", "change")
        parts.append(markdown_table(headings, map(change_row, target.changes)))
    parts.append("\n".join(f"- {escaped(line)}" for line in (*table.details, *table.asked)))
    if target.board and target.board.layers:
        rows = layer_rows(target.board.layers)
        parts.append(_folded("layer by layer", markdown_table(LAYER_HEADINGS, rows)))
    if target.warnings:
        parts.append(_folded(counted(len(target.warnings), "warning"), _warnings(target)))
    if target.feed:
        parts.append(_folded("how to feed it", _feed(target.feed)))
    if target.stages:
        rows = [(run.name, stage_time(run)) for run in target.stages]
        title = f"stages ({stages_time(target.stages)})"
        parts.append(_folded(title, markdown_table(("stage", "time"), rows)))
    return parts


def _marked(row: tuple[str, ...]) -> tuple[str, ...]:
    mark = {WORDS["pass"]: _MARKS[True], WORDS["fail"]: _MARKS[False]}.get(row[1], "")
    return (row[0], f"{mark} {row[1]}".strip(), *row[2:])


def _gate_row(gate: GateFigure) -> tuple[str, ...]:
    relation = "holds" if gate.passed else "does not hold"
    mark = _MARKS[gate.passed]
    return (gate.name, limit_text(gate.name, gate.limit), gate_value(gate), f"{mark} {relation}")


def _warnings(target: TargetReport) -> str:
    lines = []
    for warning in target.warnings:
        hint = f" {escaped(warning.hint)}" if warning.hint else ""
        lines.append(f"- `{warning.code}`: {escaped(warning.text)}.{hint}")
    return "\n".join(lines)


def _feed(feed: Feed) -> str:
    lines = [f"input {input_text(value)}" for value in feed.inputs]
    lines += [f"output {output_text(value)}" for value in feed.outputs]
    lines += [classes_text(feed.classes)] if feed.classes else []
    return "\n".join(f"- {escaped(line)}" for line in lines)


def _folded(summary: str, content: str) -> str:
    """Return Markdown that a click unfolds; the empty lines make GitHub read it as Markdown."""
    return f"<details><summary>{summary}</summary>\n\n{content}\n\n</details>"


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose first column is to the left and the others to the right."""
    rule = ["---", *["---:"] * (len(headings) - 1)]
    headings = [heading.replace("\n", " ") for heading in headings]
    return "\n".join([_row(headings), "|".join(["", *rule, ""]), *map(_row, rows)])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(escaped(cell) for cell in cells) + " |"


def escaped(text: str) -> str:
    r"""Return text that Markdown, HTML and GitHub show as it is: names may hold anything.

    >>> print(escaped("a|*b* <i> @me"))
    a\|\*b\* \<i\> @<!-- -->me
    """
    text = re.sub(r"([\\`*_\[\]<>|~$&])", r"\\\1", visible(text))
    return _LINKED.sub("<!-- -->", text)
