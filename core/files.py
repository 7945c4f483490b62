"""Files that are whole or absent: written under a temporary name, renamed at the end."""

from __future__ import annotations

import errno
import fcntl
import glob
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .diagnostics import option
from .errors import OutputError
from .scratch import OLD_SECONDS, is_lock, scratch_folder
from .unfinished import note, note_folder, note_new, unique_name

_CHUNK = 1 << 20
_NAME_LENGTH = 40
_NAME_BYTES = 255
_ATTEMPTS = 5  # at a folder that another process removes meanwhile


def sha256_of(path: Path) -> str:
    """Return the hex SHA-256 of a file's content, read in chunks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def real_path(path: Path) -> Path:
    """Return the path without links; what is left of it where one leads to itself.

    Path.resolve() raises RuntimeError there (Python 3.10 to 3.12).
    """
    return Path(os.path.realpath(path))


@contextmanager
def replacing(path: Path, *, is_result: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` only if the block succeeds.

    A new file that ``is_result`` of the command is gone again when that fails. The folder is made
    when it is missing, and removed again when the block fails and leaves it empty. Raises
    OutputError when the folder cannot be written or the disk is full.
    """
    with _made(path.parent):
        _require_plain(path)
        temporary = _temporary_beside(path)
        try:
            yield temporary
            _rename(temporary, path, is_result=is_result)
        except OSError as error:
            raise _failure(f"write {path}", error) from error
        finally:
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes, *, is_result: bool = True) -> None:
    """Write a whole file or nothing, see replacing(); raises OutputError."""
    with replacing(path, is_result=is_result) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str, *, is_result: bool = True) -> None:
    """Write a whole UTF-8 file or nothing, see replacing(); raises OutputError."""
    try:
        encoded = content.encode()
    except UnicodeEncodeError as error:
        text = f"cannot write {path}: a name that it would hold is not UTF-8"
        raise OutputError(text, "rename that file") from error
    write_bytes(path, encoded, is_result=is_result)


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """Yield an empty folder elsewhere; its files appear in ``folder`` at the end, all or none.

    Nothing is in ``folder`` while they are made, so that a process that is killed leaves nothing
    there. Files that were there before are replaced one by one, by one process at a time. Raises
    OutputError.
    """
    with _made(folder), scratch_folder() as work:
        yield work
        _move_files(work, folder)


def _move_files(source: Path, folder: Path) -> None:
    """Copy all files of ``source`` beside their targets before the first gets its name."""
    # what lies at the top, such as a report, comes last: it is no older than what it is about
    files = sorted(
        (path for path in source.rglob("*") if path.is_file() and not is_lock(path)),
        key=lambda path: (path.parent == source, path),
    )
    targets = [folder / path.relative_to(source) for path in files]
    for target in targets:
        _require_plain(target)
    copies: list[Path] = []
    created: list[Path] = []
    try:
        for path, target in zip(files, targets, strict=True):
            created = [*_make_folder(target.parent), *created]
            copies.append(_temporary_beside(target))
            shutil.copyfile(path, copies[-1])
        with alone_in(folder):
            for copy, target in zip(copies, targets, strict=True):
                _rename(copy, target)
    except OSError as error:
        raise _failure(f"write {target}", error) from error
    finally:
        for copy in copies:
            copy.unlink(missing_ok=True)
        _remove_if_empty(created)


def _rename(temporary: Path, path: Path, *, is_result: bool = True) -> None:
    """Give a whole file its name."""
    if is_result and not path.exists():
        note_new(path)
    os.replace(temporary, path)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process puts its files there: those of two runs must not be mixed.

    The folder is made when it is missing. Raises OutputError.
    """
    with _made(folder):
        handle = os.open(folder, os.O_RDONLY)
        try:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def require_writable(folder: Path) -> None:
    """Raise OutputError now, before minutes are spent, if ``folder`` cannot be written to."""
    with _made(folder):
        _temporary_beside(folder / "probe").unlink()


def require_file(path: Path) -> None:
    """Raise OutputError now if the file ``path`` cannot be written or is a folder."""
    require_name(path)
    require_writable(path.parent)
    _require_plain(path)


def require_name(path: Path) -> None:
    """Raise OutputError when the last part of ``path`` is longer than file systems take."""
    if (size := len(os.fsencode(path.name))) > _NAME_BYTES:
        raise OutputError(
            f"cannot write {path.name[:_NAME_LENGTH]}...: the name has {size} bytes, and "
            f"{_NAME_BYTES} are the most",
            f"give the model a shorter name, or choose another path with {option('output')}",
        )


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make ``folder``; remove it again at the end when it was made here and is still empty."""
    created = _make_folder(folder)
    try:
        yield
    finally:
        _remove_if_empty(created)


def make_with_parents(folder: Path) -> None:
    """Make a folder and those above it that are missing, however many. Raises OSError.

    Path.mkdir() and os.makedirs() call themselves for each, and Python allows 1,000 of that.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in (*reversed(missing), folder):
        path.mkdir(exist_ok=True)


def _make_folder(folder: Path) -> list[Path]:
    """Make ``folder`` and its parents; return those that were missing, innermost first."""
    missing: list[Path] = []
    try:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        for path in reversed(missing):
            note_folder(path)
        make_with_parents(folder)
    except OSError as error:
        _remove_if_empty(missing)
        for path in (folder, *folder.parents):
            if path.is_file():
                raise OutputError(
                    f"cannot make the folder {folder}: {path} is a file",
                    f"choose another folder with {option('output')}",
                ) from error
        raise _failure(f"make the folder {folder}", error, folder) from error
    return missing


def _require_plain(path: Path) -> None:
    """Refuse to put a file where a folder or a device is: a rename would replace /dev/null."""
    try:
        mode = path.stat().st_mode  # asked once: another process may put its file there meanwhile
    except FileNotFoundError:
        if path.is_symlink():
            text = f"cannot write {path}: it is a link to {path.readlink()}, which is not there"
            raise OutputError(text, f"choose another path with {option('output')}") from None
        return
    except OSError as error:
        raise _failure(f"write {path}", error) from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        hint = f"choose another path with {option('output')}"
        raise OutputError(f"cannot write {path}: it is {kind}", hint)


def _temporary_beside(path: Path, attempts: int = _ATTEMPTS) -> Path:
    """Make an empty file with a name of its own; the folder too, if it is gone meanwhile.

    Another process may have made it just before us, and found it empty when it was finished.
    """
    # a long name must leave room for what makes the temporary one unique
    start = f".{path.name[:_NAME_LENGTH]}."
    _remove_left(path.parent, start)
    temporary = path.with_name(f"{start}{unique_name()}.part")
    note(temporary)  # before it is there: a signal may come as soon as it is
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        if attempts == 1 or not isinstance(error, FileNotFoundError):
            raise _failure(f"write in {path.parent}", error, path.parent) from error
        _make_folder(path.parent)
        return _temporary_beside(path, attempts - 1)
    return temporary


def _remove_left(folder: Path, start: str) -> None:
    """Remove what somebody left who was killed when putting a file in its place, an hour ago."""
    for part in folder.glob(f"{glob.escape(start)}{16 * '[0-9a-f]'}.part"):
        with suppress(OSError):
            status = part.lstat()
            is_ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
            if is_ours and time.time() - status.st_mtime > OLD_SECONDS:
                part.unlink()


def _remove_if_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _failure(task: str, error: OSError, folder: Path | None = None) -> OutputError:
    """Say what the system does; but of a ``folder`` such as /proc it says that it is missing."""
    reason = error.strerror or str(error)
    if folder and isinstance(error, FileNotFoundError):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        reason = f"{there} takes no files"
    if folder and isinstance(error, FileExistsError):
        there = Path(error.filename)
        reason = f"{there} is no folder"
        if there.is_symlink() and not there.exists():
            reason = f"{there} is a link to {there.readlink()}, which is not there"
    advice = "check the path and the free space, or choose another folder"
    if isinstance(error, PermissionError):
        advice = "choose a folder you may write to"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return OutputError(f"cannot {task}: {reason}", "allow more open files (ulimit -n)")
    return OutputError(f"cannot {task}: {reason}", f"{advice} with {option('output')}")
