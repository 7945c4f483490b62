"""Files that are whole or absent: written under a temporary name, renamed at the end."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import OutputError

_CHUNK = 1 << 20
_KEPT_OF_NAME = 40


def sha256_of(path: Path) -> str:
    """Hex digest of a file's content, read in chunks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` only if the block succeeds.

    The folder is made when it is missing, and removed again when the block fails and leaves it
    empty. Raises OutputError when the folder cannot be written or the disk is full.
    """
    made = _make_folder(path.parent)
    try:
        _require_plain(path)
        temporary = _temporary_beside(path)
        try:
            yield temporary
            os.replace(temporary, path)
        except OSError as error:
            raise OutputError(
                f"cannot write {path}: {error.strerror or error}", _hint(error)
            ) from error
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
    finally:
        _remove_if_empty(made)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file or nothing; raises OutputError."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write a whole UTF-8 file or nothing; raises OutputError."""
    write_bytes(path, content.encode())


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """Yield an empty folder inside ``folder``; move all its files to ``folder`` at the end.

    Nothing is moved when the block fails: what was made so far is removed, and ``folder`` too if
    it was made here. Files that were there before are replaced one by one. Raises OutputError.
    """
    made = _make_folder(folder)
    try:
        try:
            work = Path(tempfile.mkdtemp(prefix=".rockpress-", dir=folder))
        except OSError as error:
            raise OutputError(
                f"cannot write in {folder}: {error.strerror or error}", _hint(error)
            ) from error
        try:
            yield work
            _move_files(work, folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    finally:
        _remove_if_empty(made)


def _move_files(source: Path, folder: Path) -> None:
    made = sorted(source.rglob("*"))
    for path in made:  # all before the first is moved, so that it is all or nothing
        if not path.is_dir():
            _require_plain(folder / path.relative_to(source))
    for path in made:
        place = folder / path.relative_to(source)
        try:
            if path.is_dir():
                place.mkdir(exist_ok=True)
            else:
                os.replace(path, place)
        except OSError as error:
            message = f"cannot write {place}: {error.strerror or error}"
            raise OutputError(message, _hint(error)) from error


def require_writable(folder: Path) -> None:
    """Raise OutputError now, before minutes are spent, if ``folder`` cannot be written to."""
    made = _make_folder(folder)
    try:
        _temporary_beside(folder / "probe").unlink()
    finally:
        _remove_if_empty(made)


def _make_folder(folder: Path) -> list[Path]:
    """Make ``folder`` and its parents; return those that were missing, innermost first."""
    missing: list[Path] = []
    try:
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _remove_if_empty(missing)
        message = f"cannot make the folder {folder}: {error.strerror or error}"
        raise OutputError(message, _hint(error)) from error
    return missing


def _require_plain(path: Path) -> None:
    """Refuse to put a file where a folder or a device is: a rename would replace /dev/null."""
    try:
        plain = path.is_file() or not path.exists()
    except OSError as error:
        message = f"cannot write {path}: {error.strerror or error}"
        raise OutputError(message, _hint(error)) from error
    if not plain:
        what = "a folder" if path.is_dir() else "not a regular file"
        raise OutputError(f"cannot write {path}: it is {what}", "choose another path with -o")


def _temporary_beside(path: Path) -> Path:
    # a long name must leave room for what makes the temporary one unique
    prefix = f".{path.name[:_KEPT_OF_NAME]}."
    try:
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=".part", dir=path.parent)
    except OSError as error:
        message = f"cannot write in {path.parent}: {error.strerror or error}"
        raise OutputError(message, _hint(error)) from error
    os.close(handle)
    temporary = Path(name)
    # mkstemp makes the file private; what we rename should have the user's usual permissions.
    mask = os.umask(0)
    os.umask(mask)
    temporary.chmod(0o666 & ~mask)
    return temporary


def _remove_if_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _hint(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "choose a folder you may write to with -o"
    return "check the path and the free space, or choose another folder with -o"
