"""Results on stdout: a table for a person, one JSON document for a program."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..core.results import Report

# Where no terminal says how wide it is (a pipe, a CI log), nothing should be cut off.
_WIDE = 200


def show_report(report: Report, *, as_json: bool, file: Path | None) -> None:
    """Print the report and write it to ``file`` too; its suffix says in which format."""
    from ..core.files import write_text
    from ..report.document import to_json
    from ..report.markdown import to_markdown

    if file is not None:
        write_text(file, to_json(report) if file.suffix.lower() == ".json" else to_markdown(report))
    if as_json:
        sys.stdout.write(to_json(report))
        return
    from ..report.table import to_tables

    for table in to_tables(report):
        print_table(table.title, table.headings, table.rows)
        print_lines(table.lines)
    warn(f"{one.text} [{one.code}]" for target in report.targets for one in target.warnings)


def print_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """One table; numbers to the right."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    _console().print(table)


def print_lines(lines: Iterable[str]) -> None:
    """Plain lines, as they are."""
    for line in lines:
        _console().print(line, markup=False, highlight=False, soft_wrap=True)


def print_json(document: dict[str, Any]) -> None:
    """One JSON document."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def warn(lines: Iterable[str]) -> None:
    """Warnings, on stderr."""
    for line in lines:
        print(f"warning: {line}", file=sys.stderr)


def _console() -> Any:
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=_WIDE)
