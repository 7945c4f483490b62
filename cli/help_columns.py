"""Names and what they mean in two columns, as wide as the terminal."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from shutil import get_terminal_size
from textwrap import fill
from typing import Any, TextIO

NARROWEST, WIDEST = 60, 200
GAP = 2
DEFAULT = "[default: "
_UNBROKEN = "[default:\0"  # not to be broken between two lines
_LONGEST_NAME = 30  # that what it means stands beside


def help_width(ctx: Any = None) -> int:
    """Return how wide help may be, in columns: what is given, or the terminal's width."""
    width = getattr(ctx, "terminal_width", None) or terminal_width(sys.stdout)
    return max(NARROWEST, min(WIDEST, width))


def terminal_width(stream: TextIO) -> int:
    """Return the columns of the terminal that a stream is; COLUMNS, or 80, where it is none.

    Python asks the file descriptors of the process, which here are not the streams (streams.py).
    """
    with suppress(OSError, ValueError):
        if not os.environ.get("COLUMNS", "").isdigit():
            return os.get_terminal_size(stream.fileno()).columns
    return get_terminal_size((80, 24)).columns


def columns(rows: list[tuple[str, str]], width: int, longest: int = _LONGEST_NAME) -> str:
    """Return two columns; a name that is longer, or than half the width, gets its own line."""
    name_width = min(max(len(name) for name, _ in rows), longest, width // 2 - 2 * GAP)
    return "\n".join(_row(name, text, name_width + 2 * GAP, width) for name, text in rows)


def _row(name: str, text: str, indent: int, width: int) -> str:
    name = f"{'':{GAP}}{name}"
    has_room, margin = len(name) + GAP <= indent, " " * indent
    meaning = fill(
        text.replace(DEFAULT, _UNBROKEN),
        width,
        initial_indent=f"{name:{indent}}" if has_room else margin,
        subsequent_indent=margin,
        break_on_hyphens=False,
        break_long_words=False,
    ).replace(_UNBROKEN, DEFAULT)
    return meaning if has_room else f"{name}\n{meaning}"
