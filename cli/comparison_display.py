"""A comparison on stdout, and in files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import OptionError
from .show import is_narrow, print_json, print_lines, print_table, warn

if TYPE_CHECKING:
    from ..report.comparison.compared_result import SideBySide

_SUFFIXES = (".html", ".json", ".md")


def parse_comparison(text: str) -> Path:
    """Return the path of a comparison, whose suffix says in which format to write it.

    >>> parse_comparison("build/all.html").name
    'all.html'
    """
    path = Path(text)
    if path.suffix.lower() not in _SUFFIXES:
        raise OptionError(
            f"--report: {text!r} does not end in one of {', '.join(_SUFFIXES)}",
            f"did you mean --report {path.with_suffix('.html')}?",
        )
    return path


def show_comparison(found: SideBySide, *, files: Sequence[Path], as_json: bool) -> None:
    """Print a comparison, and write it to ``files`` too."""
    from ..core.files import write_text
    from ..report.comparison.comparison_files import comparison_document, comparison_text

    for file in files:
        write_text(file, comparison_text(found, file.suffix))
    warn(found.warnings)
    if as_json:
        print_json(comparison_document(found))
    else:
        _show_tables(found)


def _show_tables(found: SideBySide) -> None:
    from ..report.comparison import comparison_text as texts

    for title, table in zip(
        (f"{len(found.results)} results", ""),
        texts.comparison_tables(found, narrow=is_narrow()),
        strict=False,
    ):
        print_table(title, table.headings, table.rows)
    print_lines(
        [*texts.comparison_lines(found), *texts.against_lines(found), *texts.front_lines(found)]
    )
    layers = texts.layer_table(found, texts.SHOWN_LAYERS)
    if layers is not None:
        print_table(texts.layer_title(found), layers.headings, layers.rows)
