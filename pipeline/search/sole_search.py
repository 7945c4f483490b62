"""One search at a time in a folder: two would each write what the other has not measured."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...core.diagnostics import option
from ...core.errors import OutputError
from ...core.files import require_writable


@contextmanager
def sole_search(trials: Path) -> Iterator[None]:
    """Hold the file of a search, which is made when it is missing; however we end, it is free then.

    Raises OutputError where another search holds it, or where it cannot be written.
    """
    require_writable(trials.parent)
    try:
        trials.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(trials, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise OutputError(
            f"{trials}: cannot be written: {error.strerror or error}",
            "give a folder that can be written to",
        ) from error
    try:
        with suppress(OSError):  # a file system without locks
            _lock(handle, trials)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, trials: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(
            f"{trials.parent}: another search is at work in this folder",
            f"wait until it has ended, or give another folder with {option('output')}",
        ) from None
