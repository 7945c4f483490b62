"""The files in which Linux tells of a board; under another root where one is set, for tests."""

from __future__ import annotations

import glob
import os
import re

_ROOT = "ROCKPRESS_BOARD_ROOT"
_MOST_FILES = 256
_LARGEST = 1 << 16
_NUMBER = re.compile(r"-?[0-9]{1,18}\Z")


def at_root(path: str) -> str:
    """Return where the file of the board lies."""
    return os.environ.get(_ROOT, "") + path


def read_text(path: str) -> str | None:
    """Return what a file of the board says, None where it cannot be read or says nothing."""
    try:
        with open(at_root(path), "rb") as file:
            text = file.read(_LARGEST).decode("utf-8", "replace")
    except OSError:
        return None
    return text.strip("\0 \n\t") or None


def read_number(path: str) -> int | None:
    """Return the whole number in a file of the board, None where there is none."""
    return whole_number(read_text(path) or "")


def whole_number(text: str) -> int | None:
    """Return the number that a text is, None for one that is none or longer than any can be."""
    return int(text) if _NUMBER.match(text) else None


def matching(pattern: str) -> list[str]:
    """Return the files of the board that match, sorted, as it calls them."""
    root = at_root("")
    return [path[len(root) :] for path in sorted(glob.glob(at_root(pattern)))[:_MOST_FILES]]
