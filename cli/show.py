"""Results on stdout: a table for a person, one JSON document for a program."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from .word_colours import with_colour

if TYPE_CHECKING:
    from rich.console import Console

    from ..core.diagnostics import Diagnostic
    from ..report.text.verdict import VerdictLine

# Where no terminal says how wide it is (a pipe, a CI log), nothing should be cut off.
_WIDE = 200
_ROOMY = 100
# of a name in a table, also there: compilers join the names of all that they join
_LONGEST_NAME = 80
# each on a background of its own, so that it can be read on a dark terminal and on a light one
_STYLES = {"fail": "bold white on red", "pass": "bold black on green", "none": "bold black on cyan"}
_DOUBTFUL = "bold black on yellow"
_NO_BREAK = "\u00a0"
_NOT_SURELY_NARROW = re.compile("[^\x20-\u02ff\u2010-\u2027]")
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

    On a terminal columns are left out that do not fit, those with the highest of ``needs`` first.
    Names in the first column are cut in their middle where the table is still too wide, and where
    they are longer than anybody reads; pages and documents have them whole.
    """
    from ..report.text.escape import visible

    # on a terminal of 80 a column more is worth more than the air between them
    air = 0 if is_narrow() else 1
    cells = [[visible(cell) for cell in row] for row in rows]
    headings, cells = _fitting(list(headings), cells, needs, air + 1)
    print_lines([title])
    if _is_drawn() or not (lines := _plain_table(headings, cells)):
        _draw_table(headings, cells, air)
    else:
        print_lines(lines)


def _draw_table(headings: Sequence[str], cells: Iterable[Sequence[str]], air: int) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, air, 0, 0))
    for column, heading in enumerate(headings):
        table.add_column(heading, justify="left" if column == 0 else "right", overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    _console().print(table)


def _plain_table(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines that rich would draw in a log, none where a letter may not be one wide.

    To import it takes longer than all else that a run does which has nothing to do.
    """
    columns = [heading.split("\n") for heading in headings]
    depth = max(map(len, columns))
    head = list(zip(*([""] * (depth - len(lines)) + lines for lines in columns), strict=True))
    rows = [*head, *cells]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    total = sum(widths) + 2 * (len(widths) - 1)
    if total > _WIDE or any(_NOT_SURELY_NARROW.search(cell) for row in rows for cell in row):
        return []
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
    return [*lines[:depth], "─" * total, *lines[depth:]]


def is_narrow() -> bool:
    """Return whether there is room for no more than the most needed columns of a table."""
    return sys.stdout.isatty() and _console().width < _ROOMY


def _is_drawn() -> bool:
    """Return whether stdout is a terminal, or somebody wants a log as if it were one."""
    forced = any(os.environ.get(name) for name in ("FORCE_COLOR", "TTY_COMPATIBLE"))
    return forced or sys.stdout.isatty()


def _fitting(
    headings: list[str], rows: list[list[str]], needs: Sequence[int] | None, gap: int
) -> tuple[list[str], list[list[str]]]:
    """Return the columns that a terminal has room for, with names in the first that fit."""
    from ..core.shortened import shortened
    from ..report.text.fitting import LEAST_NAME, column_widths, fitting_columns

    rows = [[shortened(row[0], _LONGEST_NAME), *row[1:]] for row in rows]
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
    if not _is_drawn():
        print_lines([str(line)])
        return
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
            if not _is_drawn():
                print(part)
                continue
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
            print(with_colour(line), file=sys.stderr)


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
