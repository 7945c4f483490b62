"""What a board lacks for a program of ours to run: a folder, space, Python."""

from __future__ import annotations

from .fault import Fault

NO_PYTHON = Fault(
    "no-python",
    "{board} has no python3: {line}",
    "install Python 3.7 or later there (apt install python3, or BR2_PACKAGE_PYTHON3 in Buildroot)",
    r"python3?: (command |inaccessible or )?not found|python3?.*No such file|not found.*python3?"
    r"|python3?: not found|Permission denied.*python3?",
)
OLD_PYTHON = Fault(
    "old-python",
    "{board} has {line}, and 3.7 is the oldest that will do",
    "install a newer Python there, and let python3 be it",
)
NO_FOLDER = Fault(
    "no-folder",
    "{board} has no folder for temporary files: {line}",
    "make /tmp there one that every user may write to (mode 1777)",
)
NOT_WRITTEN = Fault(
    "not-written",
    "{file} cannot be written on {board}: {line}",
    "look at the folder for temporary files there",
)

PLACE_FAULTS = (
    Fault(
        "disk-full",
        "no space is left on {board} for temporary files: {line}",
        "make space in /tmp there",
        r"No space left on device|Disk quota exceeded|File too large",
    ),
    Fault(
        "read-only",
        "the folder for temporary files of {board} is read-only: {line}",
        "mount a tmpfs at /tmp there, or make it writable",
        "Read-only file system",
    ),
    Fault(
        "folder-gone",
        "our folder on {board} was removed meanwhile: {line}",
        "start again; look what empties /tmp there",
        r"(can't|cannot) (create|open).*(No such file|nonexistent)|No such file or directory",
    ),
)
