"""Results on stdout: a table for a person, one JSON document for a program."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from .target_results import ShownWarnings, warnings_of

if TYPE_CHECKING:
    from rich.console import Console

    from ..core.diagnostics import Diagnostic
    from ..core.results.report import Report

# Where no terminal says how wide it is (a pipe, a CI log), nothing should be cut off.
_WIDE = 200
_ROOMY = 100
_LEAST_NAME = 12


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
    from ..report.documents.document import to_json
    from ..report.formats import rendered

    for file in files or ():
        write_text(file, rendered(report, file.suffix))
    # before the tables, which end with the verdict
    warn(warnings_of({target.target or "": target.warnings for target in report.targets}, shown))
    if as_json:
        sys.stdout.write(to_json(report))
    elif on_stdout:
        _show_tables(report)
    _annotate(report)


def _annotate(report: Report) -> None:
    """Print failed gates for GitHub on stderr, which its runner reads too, to keep --json."""
    from ..report.text.annotations import to_annotations

    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in to_annotations(report):
            print(line, file=sys.stderr)


def show_folder(folder: Path, *, quiet: bool) -> None:
    """Tell on stderr where the files are."""
    from ..report.text.escape import visible

    if not quiet:
        print(f"rockpress: written to {visible(str(folder))}", file=sys.stderr)


def _show_tables(report: Report) -> None:
    from ..report.text.summary import HEADINGS, summary_rows
    from ..report.text.table import to_tables
    from ..report.text.verdict import report_verdict

    print_lines([report_verdict(report)])
    for table in to_tables(report):
        if table.rows:
            print_table(table.title, table.headings, table.rows)
        else:
            print_lines([table.title])
        print_lines(table.lines)
    if rows := summary_rows(report):
        print_table("all targets", HEADINGS, rows)


def print_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a title and a table under it; numbers to the right.

    On a terminal names in the first column are cut in their middle where the table is too wide.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from ..report.text.escape import visible

    console = _console()
    # on a terminal of 80 a column more is worth more than the air between them
    air = 0 if is_narrow() else 1
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, air, 0, 0))
    for column, heading in enumerate(headings):
        table.add_column(heading, justify="left" if column == 0 else "right", overflow="fold")
    for row in _fitting([[visible(cell) for cell in row] for row in rows], headings, air + 1):
        table.add_row(*map(Text, row))
    print_lines([title])
    console.print(table)


def is_narrow() -> bool:
    """Return whether there is room for no more than the most needed columns of a table."""
    return _console().width < _ROOMY


def _fitting(rows: list[list[str]], headings: Sequence[str], gap: int) -> list[list[str]]:
    """Return the rows with names that leave the other columns their width on a terminal."""
    from ..report.text.shortened import shortened

    if not sys.stdout.isatty():
        return rows
    columns = zip(
        *[[max(heading.split("\n"), key=len) for heading in headings], *rows], strict=True
    )
    _, *others = (max(map(len, column)) for column in columns)
    room = max(_LEAST_NAME, _console().width - sum(others) - gap * len(others))
    return [[shortened(row[0], room), *row[1:]] for row in rows]


def print_lines(lines: Iterable[str]) -> None:
    """Print plain lines, as they are but for characters that a terminal would act on.

    A terminal gets them broken between words, and words that are too long whole.
    """
    from ..report.text.escape import visible

    for line in lines:
        for part in _wrapped(visible(line)):
            _console().print(part, markup=False, highlight=False, soft_wrap=True, emoji=False)


def _wrapped(line: str) -> list[str]:
    if not sys.stdout.isatty():
        return [line]
    width = _console().width
    parts = wrap(
        line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return parts or [line]


def print_json(document: dict[str, Any]) -> None:
    """Print one JSON document."""
    from ..report.documents.document import json_text

    sys.stdout.write(json_text(document))


def warn(warnings: Iterable[Diagnostic]) -> None:
    """Print warnings with what to do, on stderr."""
    for warning in warnings:
        for line in warning_lines(warning):
            print(line, file=sys.stderr)


def warning_lines(warning: Diagnostic, name: str = "") -> list[str]:
    """Return a warning and its hint as lines; ``name`` says whose it is."""
    from ..report.text.escape import visible

    warning = warning.rendered()
    lines = [f"warning: {name}{visible(warning.text)} [{warning.code}]"]
    return [*lines, f"hint: {visible(warning.hint)}"] if warning.hint else lines


def _console() -> Console:
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=_WIDE)
