"""Files that travel together, such as a set of samples: named by a digest of all that is in them.

A bundle is a tree with the files at their paths on the machine that they are from, so that what
they say of each other by relative paths stays true.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from ...core.errors import ModelError
from ...core.files import sha256_of

# what one message carries: many small files at once, or a part of a large one
PART_BYTES = 8 << 20
Part = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class BundledFile:
    """A file by its path in the bundle, relative and without dots, its size and its SHA-256."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Contents:
    """What is in a bundle: its files, and the folders that are there even when empty."""

    files: tuple[BundledFile, ...]
    folders: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Return the hex SHA-256 of paths and contents."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Bundle:
    """The contents of a bundle, and where each of its files is here, by its path in it.

    A text that differs from that of the file, as a list with other paths in it, is given as bytes.
    """

    contents: Contents
    sources: Mapping[str, Path | bytes]

    def parts(self) -> Iterator[Part]:
        """Yield all of it in messages, each with pieces of files in their order. Raises OSError."""
        part: list[tuple[str, bytes]] = []
        room = PART_BYTES
        for file in self.contents.files:
            for piece in _pieces(self.sources[file.path]):
                if part and len(piece) > room:
                    yield tuple(part)
                    part, room = [], PART_BYTES
                part.append((file.path, piece))
                room -= len(piece)
        if part:
            yield tuple(part)


def bundle_of(files: Mapping[Path, bytes | None], folders: Iterable[Path] = ()) -> Bundle:
    """Return a bundle of files, each with the bytes that it has there instead of its own or None.

    Raises ModelError for a file that cannot be read.
    """
    sources = {path_in_bundle(file): text or file for file, text in sorted(files.items())}
    try:
        bundled = tuple(_bundled(path, source) for path, source in sources.items())
    except OSError as error:
        raise ModelError(f"{error.filename}: {error.strerror}", "check the file") from error
    names = tuple(sorted({path_in_bundle(folder) for folder in folders}))
    return Bundle(Contents(bundled, names), sources)


def path_in_bundle(path: Path) -> str:
    """Return where a path of this machine is in a bundle.

    >>> path_in_bundle(Path("/srv/a/../m.onnx"))
    'srv/m.onnx'
    """
    return os.path.abspath(path).lstrip("/")


def is_inside(path: str) -> bool:
    """Return whether a path that another machine sent stays in the folder that it is taken for.

    >>> is_inside("a/b.txt"), is_inside("../b"), is_inside("/etc/passwd"), is_inside("a//b")
    (True, False, False, False)
    """
    is_plain = str(PurePosixPath(path)) == path and "\0" not in path
    return is_plain and not path.startswith("/") and not {".", ".."} & set(path.split("/"))


def _bundled(path: str, source: Path | bytes) -> BundledFile:
    if isinstance(source, bytes):
        return BundledFile(path, len(source), hashlib.sha256(source).hexdigest())
    return BundledFile(path, source.stat().st_size, sha256_of(source))


def _pieces(source: Path | bytes) -> Iterator[bytes]:
    """Yield a file in pieces, at least one, which may be empty."""
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        piece = file.read(PART_BYTES)
        yield piece
        while piece := file.read(PART_BYTES):
            yield piece
