"""Results on stdout: a table for a person, one JSON document for a program."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .target_results import ShownWarnings, named

if TYPE_CHECKING:
    from ..core.diagnostics import Diagnostic
    from ..core.results import Report

# Where no terminal says how wide it is (a pipe, a CI log), nothing should be cut off.
_WIDE = 200
_ROOMY = 100


def show_report(
    report: Report,
    *,
    as_json: bool,
    files: Sequence[Path] | None,
    shown: ShownWarnings = frozenset(),
    on_stdout: bool = True,
) -> None:
    """Print the report and write it to ``files`` too; the suffix says in which format.

    Warnings in ``shown`` were shown before. Without ``on_stdout`` the others are all that is shown.
    """
    from ..core.files import write_text
    from ..report.formats.document import to_json
    from ..report.formats.format_table import rendered

    for file in files or ():
        write_text(file, rendered(report, file.suffix))
    if as_json:
        sys.stdout.write(to_json(report))
    elif on_stdout:
        _show_tables(report)
    _annotate(report)
    for target in report.targets:
        warn(named(target.warnings, target.target if len(report.targets) > 1 else None, shown))


def _annotate(report: Report) -> None:
    """Failed gates as GitHub shows them; on stderr, which its runner reads too, to keep --json."""
    from ..report.formats.annotations import to_annotations

    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in to_annotations(report):
            print(line, file=sys.stderr)


def say_where(folder: Path, *, quiet: bool) -> None:
    """Tell on stderr where the files are."""
    from ..report.text.escape import visible

    if not quiet:
        print(f"rockpress: written to {visible(str(folder))}", file=sys.stderr)


def _show_tables(report: Report) -> None:
    from ..report.text.summary import HEADINGS, summary_rows
    from ..report.text.table import to_tables

    for table in to_tables(report):
        if table.rows:
            print_table(table.title, table.headings, table.rows)
        else:
            print_lines([table.title])
        print_lines(table.lines)
    if rows := summary_rows(report):
        print_table("all targets", HEADINGS, rows)


def print_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A title and a table under it; numbers to the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from ..report.text.escape import visible

    console = _console()
    # on a terminal of 80 a column more is worth more than the air between them
    air = 1 if console.width >= _ROOMY else 0
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, air, 0, 0))
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    print_lines([title])
    console.print(table)


def print_lines(lines: Iterable[str]) -> None:
    """Plain lines, as they are but for characters that a terminal would act on."""
    from ..report.text.escape import visible

    for line in lines:
        _console().print(visible(line), markup=False, highlight=False, soft_wrap=True, emoji=False)


def print_json(document: dict[str, Any]) -> None:
    """One JSON document."""
    from ..report.formats.document import json_text

    sys.stdout.write(json_text(document))


def warn(notices: Iterable[Diagnostic | Diagnostic]) -> None:
    """Warnings with what to do, on stderr."""
    for one in notices:
        for line in warning_lines(one):
            print(line, file=sys.stderr)


def warning_lines(one: Diagnostic | Diagnostic, name: str = "") -> list[str]:
    """A warning and its hint as lines; ``name`` says whose it is."""
    from ..report.text.escape import visible

    one = one.rendered()
    lines = [f"warning: {name}{visible(one.text)} [{one.code}]"]
    return [*lines, f"hint: {visible(one.hint)}"] if one.hint else lines


def _console() -> Any:
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=_WIDE)
