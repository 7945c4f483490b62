"""The three streams of the command: whatever is closed or shared, stdout holds results alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import Any

from ..core.errors import OutputError

_SEND = "send it somewhere, such as >/dev/null"


class _ResultFile(FileIO):
    """What stdout leads to; where nothing more can be written, that is an error of ours."""

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except BrokenPipeError:  # which its reader wanted
            raise
        except OSError as error:
            text = f"the result cannot be shown: {error.strerror or error}"
            raise OutputError(text, _SEND) from error


@contextmanager
def own_streams() -> Iterator[None]:
    """Keep stdout for what is printed here; all else that writes to it, writes to stderr.

    That is native code, children, and a metric of the user's. A descriptor that is closed becomes
    /dev/null: the next file to be opened would have its number, and get what is meant for it.
    """
    is_open = [_is_open(number) for number in range(3)]
    while not all(map(_is_open, range(3))):
        os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  (until the end)
    before = sys.stdout
    if before is None or not is_open[1]:
        yield
        return
    shared, results = os.dup(1), BufferedWriter(_ResultFile(os.dup(1), "w"))
    sys.stdout = TextIOWrapper(
        results, before.encoding, before.errors, line_buffering=before.isatty()
    )
    os.dup2(2, 1)
    try:
        yield
    finally:
        with suppress(OSError, ValueError, OutputError):
            sys.stdout.close()
        sys.stdout = before
        with suppress(OSError):  # a metric has closed it
            os.dup2(shared, 1)
            os.close(shared)


def require_stdout() -> None:
    """Raise OutputError where there is none: what was made would be told to nobody."""
    if sys.stdout is None:
        raise OutputError("the result cannot be shown: stdout is closed", _SEND)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
