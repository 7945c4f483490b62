"""The words error, warning and hint, which stand out where stderr is a terminal."""

from __future__ import annotations

import os
import sys

# as those of the verdict: each colour on one of its own, to be read on any terminal
_CODES = {"error:": "1;37;41", "warning:": "1;30;43", "hint:": "1"}


def with_colour(line: str) -> str:
    """Return a line for stderr, its first word in colour where it is one of these.

    NO_COLOR and FORCE_COLOR are honoured, as on stdout; a log has it plain.
    """
    word, space, rest = line.partition(" ")
    if word not in _CODES or not _is_colourful():
        return line
    return f"\x1b[{_CODES[word]}m{word}\x1b[0m{space}{rest}"


def _is_colourful() -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
