"""Files of a folder that others may write to: regular ones alone, and no link is followed.

A link there would bring out what only the reader may read; a FIFO would never end.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import BinaryIO

from ...core.files import sha256_of
from ...core.scratch import is_lock

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_MOST = 1 << 20


def read_plain(path: Path) -> bytes:
    """Return the content of a file of at most 1 MiB. Raises OSError or ValueError."""
    with _opened(path) as file:
        content = file.read(_MOST + 1)
    if len(content) > _MOST:
        raise ValueError(f"{path} is too large")
    return content


def copy_plain(source: Path, folder: Path) -> None:
    """Copy all that is in ``source``, but for the mark of a scratch folder, by the umask.

    Raises OSError, or ValueError for what is neither a file nor a folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with os.scandir(source) as items:
        for item in items:
            path = Path(item.path)
            if item.is_dir(follow_symlinks=False):
                copy_plain(path, folder / item.name)
            elif not is_lock(path):
                with _opened(path) as file, (folder / item.name).open("wb") as copy:
                    shutil.copyfileobj(file, copy, 1 << 20)


def move_plain(source: Path, folder: Path) -> None:
    """Move all files of a copy, which has no link, into ``folder``."""
    for path in [path for path in source.rglob("*") if path.is_file()]:
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target)


def sums_of(folder: Path, without: str) -> dict[str, str]:
    """Return name -> SHA-256 of all files in a folder, but for the one ``without``."""
    files = (path for path in folder.rglob("*") if path.is_file() and path != folder / without)
    return {str(path.relative_to(folder)): sha256_of(path) for path in files}


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder. Raises OSError."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def _opened(path: Path) -> BinaryIO:
    file = os.fdopen(os.open(path, _FLAGS), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ValueError(f"{path} is no regular file")
    return file
