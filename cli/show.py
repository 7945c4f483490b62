"""Results on stdout: a table for a person, one JSON document for a program."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from ..core.diagnostics import Diagnostic
    from ..report.text.verdict import VerdictLine

# Where no terminal says how wide it is (a pipe, a CI log), nothing should be cut off.
_WIDE = 200
_ROOMY = 100
# each on a background of its own, so that it can be read on a dark terminal and on a light one
_STYLES = {"fail": "bold white on red", "pass": "bold black on green", "none": "bold black on cyan"}
_DOUBTFUL = "bold black on yellow"
_NO_BREAK = "\u00a0"
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:ms|fps|dB|[kMG]?B|[kM]|s)\b)")


def show_folder(folder: Path, *, quiet: bool) -> None:
    """Tell on stderr where the files are."""
    from ..report.text.escape import visible

    if not quiet:
        print(f"rockpress: written to {visible(str(folder))}", file=sys.stderr)


def print_table(
    title: str,
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    needs: Sequence[int] | None = None,
) -> None:
    """Print a title and a table under it; numbers to the right.

    On a terminal columns are left out that do not fit, those with the highest of ``needs`` first,
    and names in the first column are cut in their middle where the table is still too wide.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from ..report.text.escape import visible

    # on a terminal of 80 a column more is worth more than the air between them
    air = 0 if is_narrow() else 1
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, air, 0, 0))
    cells = [[visible(cell) for cell in row] for row in rows]
    headings, cells = _fitting(list(headings), cells, needs, air + 1)
    for column, heading in enumerate(headings):
        table.add_column(heading, justify="left" if column == 0 else "right", overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    print_lines([title])
    _console().print(table)


def is_narrow() -> bool:
    """Return whether there is room for no more than the most needed columns of a table."""
    return _console().width < _ROOMY


def _fitting(
    headings: list[str], rows: list[list[str]], needs: Sequence[int] | None, gap: int
) -> tuple[list[str], list[list[str]]]:
    """Return the columns that a terminal has room for, with names in the first that fit."""
    from ..report.text.fitting import LEAST_NAME, column_widths, fitting_columns
    from ..report.text.shortened import shortened

    if not sys.stdout.isatty():
        return headings, rows
    width = _console().width
    if needs is not None:
        places = fitting_columns(headings, rows, needs, width, gap)
        headings = [headings[place] for place in places]
        rows = [[row[place] for place in places] for row in rows]
    _, *others = column_widths(headings, rows)
    room = max(LEAST_NAME, width - sum(others) - gap * len(others))
    return headings, [[shortened(row[0], room), *row[1:]] for row in rows]


def print_verdict(line: VerdictLine) -> None:
    """Print the line of a verdict, its word in the colour of it."""
    from rich.text import Text

    from ..report.text.escape import visible

    first, *rest = _wrapped(visible(str(line)))
    text = Text(first)
    text.stylize(_DOUBTFUL if line.with_doubts else _STYLES[line.verdict], 0, len(line.word))
    _console().print(text, soft_wrap=True)
    print_lines(rest)


def print_lines(lines: Iterable[str]) -> None:
    """Print plain lines, as they are but for characters that a terminal would act on.

    A terminal gets them broken between words, and words that are too long whole.
    """
    from ..report.text.escape import visible

    for line in lines:
        for part in _wrapped(visible(line)):
            _console().print(part, markup=False, highlight=False, soft_wrap=True, emoji=False)


def _wrapped(line: str) -> list[str]:
    """Return the parts of a line that fit a terminal; a figure stays with its unit."""
    if not sys.stdout.isatty():
        return [line]
    width = _console().width
    parts = wrap(
        _BEFORE_UNIT.sub(_NO_BREAK, line),
        width,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [part.replace(_NO_BREAK, " ") for part in parts] or [line]


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

    if not sys.stdout.isatty():
        return Console(width=_WIDE)
    console = Console()
    console.width = min(console.width, _WIDE)
    return console
