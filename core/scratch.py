"""Folders for files in the making: private, locked while in use, swept when a user was killed.

Each holds a mark that says who made it: its own name, which has a random part, its number in the
file system, the process and when that was started. A folder is swept only if its mark says all
this of it, and that process is no more; a name and a lock file alone may be anybody's. Until it has
its mark a link beside it says who makes it: a link is there with all that it says, or not at all.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import OutputError, TemporarySpaceError
from .unfinished import note, unique_name

MAKE_SPACE = "make space there, or set TMPDIR to a folder that has some"
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PREFIX = "rockpress-"
_LOCK = ".lock"
_SIGN = "_making"
_MARK_BYTES = 200
OLD_SECONDS = 3600  # of what bears no mark: somebody may just be making it


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """Yield a private folder in ``parent``, the system's temporary folder; it is gone afterwards.

    A process that is killed cannot clean up, so the next one removes what it left: a folder with
    our mark whose lock nobody holds any more. Raises OutputError when no folder can be made.
    """
    try:
        parent = parent or _temporary_folder()
        _sweep(parent)
        folder = parent / f"{_PREFIX}{unique_name()}"
        with _announced(folder):
            lock = _made(folder)
    except OSError as error:
        raise _cannot_make(error) from error
    try:
        yield folder
    finally:
        _remove(folder)
        os.close(lock)


def _temporary_folder() -> Path:
    """Return the system's. It is tried out with a file, which a signal would leave: that waits."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        return Path(tempfile.gettempdir())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _cannot_make(error: OSError) -> OutputError:
    return OutputError(f"cannot make a temporary folder: {error.strerror or error}", MAKE_SPACE)


@contextmanager
def temporary_space() -> Iterator[None]:
    """Raise TemporarySpaceError where a temporary file, written or read within, has no space.

    What is buffered may be written by a read.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        raise no_temporary_space(error) from error


def no_temporary_space(error: OSError) -> TemporarySpaceError:
    """Return the error that says where temporary files have no space, or may not be as large."""
    where = f"TMPDIR ({tempfile.gettempdir()})"
    if error.errno == errno.EFBIG:
        return TemporarySpaceError(
            f"a file in {where} would be larger than allowed", "allow larger ones (ulimit -f)"
        )
    return TemporarySpaceError(f"no space left in {where}", MAKE_SPACE)


def is_temporary(path: Path) -> bool:
    """Return whether a file lies in a scratch folder of the system's temporary folder."""
    temporary = Path(tempfile.gettempdir())
    return any(
        folder.parent == temporary and folder.name.startswith(_PREFIX) for folder in path.parents
    )


def is_lock(path: Path) -> bool:
    """Return whether the file is what marks a scratch folder as in use."""
    return path.name == _LOCK


@contextmanager
def _announced(folder: Path) -> Iterator[None]:
    """Let a link say who makes the folder: who is killed meanwhile leaves it without a mark."""
    sign = folder.with_name(f"{folder.name}{_SIGN}")
    note(sign)
    with suppress(OSError):  # a file system without links; a full one is told by what follows
        sign.symlink_to(f"{os.getpid()} {_start_of(os.getpid())} {_namespace()}")
    try:
        yield
    finally:
        sign.unlink(missing_ok=True)


def _made(folder: Path) -> int:
    """Make the folder with its mark; return its lock."""
    note(folder)  # before it is there: a signal may come as soon as it is
    os.mkdir(folder, 0o700)
    try:
        return _locked(folder)
    except OSError:
        _remove(folder)
        raise


def _locked(folder: Path) -> int:
    """Mark the folder and lock it; the lock ends with this process, however that ends."""
    new = folder / f"{_LOCK}.new"
    lock = os.open(new, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.write(lock, _mark(folder, os.getpid()).encode())
    new.rename(folder / _LOCK)  # locked before anybody can see it
    return lock


def _mark(folder: Path, process: int) -> str:
    """Return what the mark of a folder says that a process made, which runs or has ended."""
    number = folder.lstat().st_ino
    return f"rockpress {folder.name} {number} {process} {_start_of(process)}\n"


def _start_of(process: int) -> str:
    """Return when a process was started, in ticks since the system was; "" when it has ended."""
    with suppress(OSError, IndexError):
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        return text.rpartition(")")[2].split()[19]
    return ""


def _namespace() -> str:
    """Return in which numbers of processes a number means one: a container has its own."""
    with suppress(OSError):
        return os.readlink("/proc/self/ns/pid")
    return ""


def _sweep(parent: Path) -> None:
    for sign in parent.glob(_PREFIX + 16 * "[0-9a-f]" + _SIGN):
        with suppress(OSError):
            if _is_over(sign):
                _remove_unmarked(sign.with_name(sign.name.removesuffix(_SIGN)))
                sign.unlink()
    for folder in parent.glob(_PREFIX + 16 * "[0-9a-f]"):
        with suppress(OSError):  # left before it had a mark; what is in it keeps it from this
            if _is_private(folder) and time.time() - folder.lstat().st_mtime > OLD_SECONDS:
                folder.rmdir()
    for lock in parent.glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(OSError):  # in use, or gone meanwhile
            if not _is_private(lock.parent):
                continue
            handle = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_left(lock.parent, os.read(handle, _MARK_BYTES)):
                    _remove(lock.parent)
            finally:
                os.close(handle)


def _is_over(sign: Path) -> bool:
    """Return whether a link is ours, and whoever it names has ended."""
    status = sign.lstat()
    match = re.fullmatch(r"(\d+) (\d+) (.+)", os.readlink(sign))
    if match is None or status.st_uid != os.geteuid() or match[3] != _namespace():
        return False
    return match[2] != _start_of(int(match[1]))


def _remove_unmarked(folder: Path) -> None:
    """Remove a folder that was left before it had its mark; nothing was put into it by then."""
    with suppress(OSError):
        if _is_private(folder) and not (folder / _LOCK).exists():
            (folder / f"{_LOCK}.new").unlink(missing_ok=True)
            folder.rmdir()


def _is_private(folder: Path) -> bool:
    """A link of somebody else's in a shared folder may lead anywhere."""
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def _is_left(folder: Path, mark: bytes) -> bool:
    """Return whether the mark is this folder's, and whoever made it has ended."""
    match = re.fullmatch(rb"(rockpress .* \d+ (\d+)) (\d*)\n", mark)
    if match is None:
        return False
    process = int(match[2])
    is_same = os.fsencode(_mark(folder, process)).startswith(match[1] + b" ")
    return is_same and (not match[3] or match[3] != _start_of(process).encode())


def _remove(folder: Path) -> None:
    """Remove the lock last: who is killed meanwhile leaves a folder that the next one finds."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif not is_lock(path):
                path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
