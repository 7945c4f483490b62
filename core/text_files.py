"""Files from anywhere: read only when they are plain, up to a size, and as what they should be."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# What people and rockpress write is a thousand times smaller.
MAX_TEXT_BYTES = 64 * 2**20
_SHOWN = 200  # characters of a parser's own message

T = TypeVar("T")


class UnreadableFile(ValueError):
    """Why a file cannot be read, in a few words."""


class BrokenText(UnreadableFile):
    """Why what is in a file is no JSON, TOML or text, in a few words."""


@contextmanager
def open_plain(path: Path) -> Iterator[IO[bytes]]:
    """Open a regular file to read bytes from it, and never wait for them.

    A pipe would wait for somebody to write, a device has no end, and of what the kernel shows as a
    file without a size some wait too. Raises OSError for all but regular files.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(handle, "rb") as file:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
            raise OSError(errno.EINVAL, f"it is {kind}", str(path))
        yield file


def read_whole(path: Path, limit: int) -> bytes:
    """Return the bytes of a regular file. Raises OSError for another, and for more than ``limit``.

    The size is not believed: files in /proc say 0.
    """
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = b"" if size > limit else file.read(limit + 1)
    if max(size, len(content)) > limit:
        text = f"it has more than the {limit / 2**20:.0f} MB that are read"
        raise OSError(errno.EFBIG, text, str(path))
    return content


def read_text(path: Path, limit: int = MAX_TEXT_BYTES) -> str:
    """Return a text in UTF-8, with or without a mark of that. Raises UnreadableFile."""
    try:
        return read_whole(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BrokenText("it is no text in UTF-8") from error
    except OSError as error:
        raise UnreadableFile(error.strerror or str(error)) from error
    except ValueError as error:  # a NUL in the path
        raise UnreadableFile(str(error)) from error


def read_json(path: Path, limit: int = MAX_TEXT_BYTES, *, strict: bool = False) -> Any:
    """Return the document of a JSON file, without NaN when ``strict``. Raises UnreadableFile."""
    refuse = _no_json if strict else None
    return _parsed(read_text(path, limit), lambda text: json.loads(text, parse_constant=refuse))


def read_toml(path: Path, limit: int = MAX_TEXT_BYTES) -> dict[str, Any]:
    """Return the document of a TOML file. Raises UnreadableFile."""
    return parse_toml(read_text(path, limit))


def parse_toml(text: str) -> dict[str, Any]:
    """Return the document that a text in TOML is. Raises BrokenText."""
    return _parsed(text, tomllib.loads)


def _parsed(text: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(text)
    except RecursionError as error:
        raise BrokenText("it is nested too deeply") from error
    except ValueError as error:  # among them a number of more than 4300 digits
        raise BrokenText(" ".join(str(error).split())[:_SHOWN]) from error


def _no_json(name: str) -> None:
    """Raise ValueError for NaN and infinities, which JSON does not have."""
    raise ValueError(f"{name} is no number of JSON")
