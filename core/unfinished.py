"""Files and folders in the making, in a list that outlives the process which makes them.

They have names that nobody else has, and that are gone when they are finished: what is still
there when the process is gone was left by it. New files that have their final name are on the list
too, until the command has its result: one that fails then has made none. What is no result, as in a
cache, is not.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

_PART, _FOLDER, _NEW, _KEPT = b"-", b"/", b"+", b"="
_list: int | None = None


def share() -> None:
    """Begin the list of this process and those that it forks from now on."""
    global _list
    _list = os.memfd_create("rockpress")


def unique_name() -> str:
    """Return what makes the name of something in the making one that nobody else has."""
    return os.urandom(8).hex()


def note(path: Path) -> None:
    """Put the path of something in the making on the list, if there is one."""
    _write(_PART, path)


def note_folder(path: Path) -> None:
    """Put a folder on the list that was made for what comes into it."""
    _write(_FOLDER, path)


def note_new(path: Path) -> None:
    """Put a file on the list that is finished, and was not there before."""
    _write(_NEW, path)


def keep_new() -> None:
    """Let the finished files stay, whatever the exit code is: the command has its result."""
    _write(_KEPT, Path("/"))


def _write(kind: bytes, path: Path) -> None:
    if _list is not None:
        os.write(_list, kind + os.fsencode(path.absolute()) + b"\0")


def remove_unfinished() -> None:
    """Remove everything on the list that is still there; a folder with something in it stays."""
    if _list is None:
        return
    entries = os.pread(_list, os.fstat(_list).st_size, 0).split(b"\0")[:-1]
    if any(entry[:1] == _KEPT for entry in entries):
        entries = [entry for entry in entries if entry[:1] not in (_KEPT, _NEW)]
    for entry in reversed(entries):  # what is inside comes first
        path = Path(os.fsdecode(entry[1:]))
        with suppress(OSError):
            if entry[:1] == _FOLDER:
                path.rmdir()
            elif entry[:1] == _PART and path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
