"""The bundles that a worker's machine has: in the user's cache, shown and shrunk with the rest.

A bundle comes in parts, is held against its digest when it is whole, and gets its place by a
rename. All workers of a machine read the same files.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ...core.errors import OutputError
from ...core.files import sha256_of
from ...core.scratch import scratch_folder
from ..caching.cache_folder import SUMS, CacheFolder
from .bundle import BundledFile, Contents, Part, is_inside

_FILES = "files"
# no sums of an entry that a stage reads: what is here counts as used, but is looked up here alone
_NO_SUMS = "null"


class BrokenBundle(ValueError):
    """What came is not what was announced."""


@dataclass
class _Arrival:
    """A bundle that is on its way: the parts so far in a folder that is gone with this process."""

    contents: Contents
    scratch: AbstractContextManager[Path]
    folder: Path
    parts: int = 0


@dataclass
class BundleStore:
    """Bundles in a cache folder, by their digests."""

    folder: Path
    _arrivals: dict[str, _Arrival] = field(default_factory=dict)
    _checked: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def lacking(self, digests: Mapping[str, Contents]) -> list[str]:
        """Return those that are not here, or not as they should be."""
        return [digest for digest, contents in digests.items() if not self._has(digest, contents)]

    def files_of(self, digest: str) -> Path:
        """Return the folder with the files of a bundle, and note that it is in use."""
        entry = self._entry(digest)
        with suppress(OSError):
            os.utime(entry)
        return entry / _FILES

    def begin(self, contents: Contents) -> None:
        """Make ready for the parts of a bundle. Raises BrokenBundle or OutputError."""
        names = [*contents.folders, *(file.path for file in contents.files)]
        if not all(map(is_inside, names)):
            raise BrokenBundle("a path leads elsewhere")
        CacheFolder(self.folder).make()
        self.drop(contents.digest)
        scratch = scratch_folder(self.folder)
        self._arrivals[contents.digest] = _Arrival(contents, scratch, scratch.__enter__())

    def receive(self, digest: str, number: int, part: Part) -> None:
        """Take a part of a bundle, in their order. Raises BrokenBundle or OSError."""
        arrival = self._arrivals.get(digest)
        if arrival is None or arrival.parts != number:
            raise BrokenBundle(f"part {number} was not expected")
        announced = {file.path for file in arrival.contents.files}
        for path, piece in part:
            if path not in announced:
                raise BrokenBundle(f"{path} was not announced")
            target = arrival.folder / _FILES / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("ab") as file:
                file.write(piece)
        arrival.parts += 1

    def end(self, digest: str) -> None:
        """Give a whole bundle its place. Raises BrokenBundle, OutputError or OSError."""
        arrival = self._arrivals[digest]
        for folder in (*arrival.contents.folders, ""):
            (arrival.folder / _FILES / folder).mkdir(parents=True, exist_ok=True)
        if not _is_whole(arrival.folder / _FILES, arrival.contents):
            raise BrokenBundle("a file is not what was announced: it has changed meanwhile")
        new, entry = arrival.folder / "entry", self._entry(digest)
        new.mkdir()
        (arrival.folder / _FILES).rename(new / _FILES)
        (new / SUMS).write_text(_NO_SUMS)
        entry.parent.mkdir(exist_ok=True)
        shutil.rmtree(entry, ignore_errors=True)  # damaged, or another's just now
        new.rename(entry)
        self._checked.add(digest)
        self.drop(digest)

    def drop(self, digest: str) -> None:
        """Forget a bundle that is on its way."""
        if arrival := self._arrivals.pop(digest, None):
            arrival.scratch.__exit__(None, None, None)

    def _entry(self, digest: str) -> Path:
        return CacheFolder(self.folder).entry(digest)

    def _has(self, digest: str, contents: Contents) -> bool:
        """Return whether a bundle is here; by its sums when this process asks first."""
        with self._lock, suppress(OSError, OutputError):
            files = self._entry(digest) / _FILES
            if not files.is_dir():
                self._checked.discard(digest)
                return False
            if digest not in self._checked and _is_whole(files, contents):
                self._checked.add(digest)
            return digest in self._checked
        return False


def _is_whole(folder: Path, contents: Contents) -> bool:
    return all(_is_same(folder / file.path, file) for file in contents.files)


def _is_same(path: Path, file: BundledFile) -> bool:
    """Return whether a file is there, no link, and as it should be."""
    is_plain = path.is_file() and not path.is_symlink()
    return is_plain and path.stat().st_size == file.bytes and sha256_of(path) == file.sha256
