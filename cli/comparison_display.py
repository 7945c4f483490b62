"""A comparison on stdout, and in files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .parameters import with_suffix_of
from .show import is_narrow, print_json, print_lines, print_table, warn

if TYPE_CHECKING:
    from ..report.comparison.compared_result import SideBySide

_SUFFIXES = (".html", ".json", ".md")


def parse_comparison(text: str) -> Path:
    """Return the path of a comparison, whose suffix says in which format to write it.

    >>> parse_comparison("build/all.html").name
    'all.html'
    """
    return with_suffix_of(text, _SUFFIXES)


def show_comparison(comparison: SideBySide, *, files: Sequence[Path], as_json: bool) -> None:
    """Print a comparison, and write it to ``files`` too."""
    from ..core.files import write_text
    from ..report.comparison.comparison_files import comparison_document, rendered_comparison

    for file in files:
        write_text(file, rendered_comparison(comparison, file.suffix))
    warn(comparison.warnings)
    if as_json:
        print_json(comparison_document(comparison))
    else:
        _show_tables(comparison)


def _show_tables(comparison: SideBySide) -> None:
    from ..report.comparison import comparison_text as texts

    for title, table in zip(
        (f"{len(comparison.results)} results", ""),
        texts.comparison_tables(comparison, narrow=is_narrow()),
        strict=False,
    ):
        print_table(title, table.headings, table.rows)
    print_lines(
        [
            *texts.comparison_lines(comparison),
            *texts.against_lines(comparison),
            *texts.front_lines(comparison),
        ]
    )
    layers = texts.layer_table(comparison, texts.SHOWN_LAYERS)
    if layers is not None:
        print_lines([""])
        print_table(texts.layer_title(comparison), layers.headings, layers.rows)
