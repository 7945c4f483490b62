"""Folders for files in the making: private, locked while in use, swept when a user was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import OutputError

MAKE_SPACE = "make space there, or set TMPDIR to a folder that has some"
_PREFIX = "rockpress-"
_LOCK = ".lock"


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """Yield a private folder in ``parent``, the system's temporary folder; it is gone afterwards.

    A process that is killed cannot clean up, so the next one removes what it left: a folder whose
    lock nobody holds any more. Raises OutputError when no folder can be made.
    """
    parent = parent or Path(tempfile.gettempdir())
    _sweep(parent)
    try:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    except OSError as error:
        text = f"cannot make a temporary folder: {error.strerror or error}"
        raise OutputError(text, MAKE_SPACE) from error
    lock = _locked(folder)
    try:
        yield folder
    finally:
        _remove(folder)
        os.close(lock)


def is_lock(path: Path) -> bool:
    """Return whether the file is what marks a scratch folder as in use."""
    return path.name == _LOCK


def _locked(folder: Path) -> int:
    """Lock the folder; the lock ends with this process, however that ends."""
    new = folder / f"{_LOCK}.new"
    lock = os.open(new, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    new.rename(folder / _LOCK)  # locked before anybody can see it
    return lock


def _sweep(parent: Path) -> None:
    for lock in parent.glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(OSError):  # in use, or gone meanwhile
            if not _is_ours(lock.parent):
                continue
            handle = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(lock.parent)
            finally:
                os.close(handle)


def _is_ours(folder: Path) -> bool:
    """A link of somebody else's in a shared folder may lead anywhere."""
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def _remove(folder: Path) -> None:
    """Remove the lock last: who is killed meanwhile leaves a folder that the next one finds."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif not is_lock(path):
                path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
