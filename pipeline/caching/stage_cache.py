"""What was computed before, by what it was computed from: files and results of finished stages.

An entry is a folder named by the digest of its inputs, options and the code that made it. It
appears whole, by a rename, and is checked when it is read; one that is damaged counts as absent.
It is copied before it is checked, so that nobody can change it meanwhile.
So runs may share a cache, and a run that is killed loses only the stage it was in.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from ...core.diagnostics import Diagnostic
from ...core.errors import OutputError
from ...core.scratch import scratch_folder
from .cache_folder import HINT, SUMS, CacheFolder
from .encoding import NotStorable, read_value, write_value
from .plain_files import copy_plain, move_plain, read_plain, size_of, sums_of

T = TypeVar("T")

DEFAULT_BYTES = 5 << 30
_FILES, _TIME = "files", "seconds.json"
# what another run may be copying from just now
_SECONDS_IN_USE = 3600
# What decides results besides the code and the toolkit, whose version is part of the inputs.
_LIBRARIES = (
    *("numpy", "onnx", "onnxruntime", "pillow", "faster-coco-eval"),
    *("opencv-python-headless", "opencv-python"),  # either serves
)
_COUNTERS = ("hits", "misses", "seconds")
_counts = threading.local()


@dataclass(frozen=True)
class Entry:
    """A finished stage: its folder, its size, and when it was last used (seconds since 1970)."""

    folder: Path
    bytes: int
    used: float


class CacheMiss(Exception):
    """Raised by a cache that only looks, for what it does not have."""


class Cache:
    """Entries in a folder, at most ``most_bytes`` of them; the longest unused go first.

    With ``fresh`` nothing is read, but everything is written anew. One that ``read_only`` makes
    nothing: it raises CacheMiss.
    """

    def __init__(
        self,
        folder: Path,
        *,
        most_bytes: int = DEFAULT_BYTES,
        fresh: bool = False,
        read_only: bool = False,
    ) -> None:
        self.folder = folder
        self._folder = CacheFolder(folder)
        self.read_only = read_only
        self._most = most_bytes
        self._fresh = fresh

    def as_read_only(self) -> Cache:
        """Return the same cache, which only looks."""
        return Cache(self.folder, fresh=self._fresh, read_only=True)

    def get_or_compute(
        self, kind: str, inputs: Mapping[str, Any], make: Callable[[Path], T], folder: Path
    ) -> T:
        """Return the result of ``make``, or what it gave before for the same inputs.

        Its files come into ``folder``. ``inputs`` are plain JSON values. ``make`` writes files into
        the folder that it gets; what its result says of them must be relative, or set by the
        caller. A result that cannot be kept is returned all the same. Raises CacheMiss as the class
        has it.
        """
        key = entry_name(kind, inputs)
        if not self._fresh:
            with suppress(OSError, ValueError, RecursionError, OutputError):
                value: T
                value, seconds = self._read(key, folder)
                _count("hits")
                _count("seconds", seconds)
                return value
        if self.read_only:
            raise CacheMiss
        _count("misses")
        folder.mkdir(parents=True, exist_ok=True)
        with scratch_folder() as work:
            started = time.monotonic()
            result = make(work)
            seconds = round(time.monotonic() - started, 3)
            copy_plain(work, folder)
            with suppress(NotStorable, OSError, OutputError):  # a full disk must not lose it
                self._write(key, work, result, seconds)
        return result

    @contextmanager
    def unfinished(self, kind: str, inputs: Mapping[str, Any]) -> Iterator[Path]:
        """Yield a folder for what a stopped run left of a stage; it is gone when that is done.

        So it is when the run was stopped before it left anything.
        It counts as an entry, so it is shown, shrunk and cleared with the others.
        """
        with scratch_folder() as work:
            folder = work / "unfinished"
            with suppress(OSError, OutputError):  # then it cannot be resumed
                folder = self._begun(entry_name(kind, inputs))
            is_done = False
            try:
                yield folder
                is_done = True
            finally:
                if is_done or all(path.name == SUMS for path in folder.glob("*")):
                    shutil.rmtree(folder, ignore_errors=True)

    def warnings(self) -> tuple[Diagnostic, ...]:
        """Return a warning when nothing can be kept in the folder, else none."""
        if not (fault := self._folder.fault()):
            return ()
        text = f"nothing is kept of finished stages in {self.folder}: {fault}"
        return (Diagnostic("cache-folder", text, HINT),)

    def require_own(self) -> None:
        """Raise OutputError when its folder holds what is somebody else's."""
        self._folder.require_own()

    def entries(self) -> list[Entry]:
        """Return all entries, the longest unused first."""
        entries = []
        for folder in self._folder.entries():
            with suppress(OSError):
                entries.append(Entry(folder, size_of(folder), folder.stat().st_mtime))
        return sorted(entries, key=lambda entry: entry.used)

    def shrink(self, most_bytes: int, *, unused: float = _SECONDS_IN_USE) -> int:
        """Remove entries until the rest fits, and return how many bytes went.

        Those used within the last ``unused`` seconds stay, as another run may be reading them.
        """
        entries = self.entries()
        total = left = sum(entry.bytes for entry in entries)
        for entry in entries:
            if left <= most_bytes or time.time() - entry.used < unused:
                break
            shutil.rmtree(entry.folder, ignore_errors=True)
            left -= entry.bytes
        return total - left

    def _read(self, key: str, folder: Path) -> tuple[Any, float]:
        """Put the files of an entry into ``folder``; return its value and how long that took."""
        entry = self._folder.entry(key)
        with scratch_folder() as work:
            copy = work / "entry"
            copy_plain(entry, copy)
            if json.loads(read_plain(copy / SUMS)) != sums_of(copy, SUMS):
                raise ValueError(f"{entry} is damaged")
            value, seconds = read_value(copy), float(json.loads(read_plain(copy / _TIME)))
            move_plain(copy / _FILES, folder)
        if not self.read_only:
            with suppress(OSError):  # an entry that only others may write is as good
                os.utime(entry)
        return value, seconds

    def _write(self, key: str, files: Path, value: Any, seconds: float) -> None:
        self._folder.make()
        with scratch_folder(self.folder) as work:
            new = work / "entry"
            copy_plain(files, new / _FILES)
            write_value(value, new)
            (new / _TIME).write_text(json.dumps(seconds), encoding="utf-8")
            (new / SUMS).write_text(json.dumps(sums_of(new, SUMS)), encoding="utf-8")
            entry = self._folder.entry(key)
            entry.parent.mkdir(exist_ok=True)
            if entry.exists():  # it is damaged, or was not to be read
                entry.rename(work / "old")
            new.rename(entry)
        self.shrink(self._most)

    def _begun(self, key: str) -> Path:
        """Return the folder of an entry that is not whole, so that its sums fit nothing."""
        self._folder.make()
        folder = self._folder.entry(key)
        if self._fresh:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SUMS).write_text("null", encoding="utf-8")
        return folder


def entry_name(kind: str, inputs: Mapping[str, Any]) -> str:
    """Return the name of an entry: a digest of all that decides the result."""
    parts = {"kind": kind, "code": _code_digest(), "inputs": inputs}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Lookups:
    """What was looked up in this thread since ``before``: hits, misses, seconds of the hits."""

    before: tuple[float, ...]

    @property
    def all_were_hits(self) -> bool:
        """Whether anything was asked for, and all of it was there."""
        hits, misses, _ = _counted()
        return hits > self.before[0] and misses == self.before[1]

    @property
    def seconds(self) -> float:
        """How long what was there took when it was made."""
        return _counted()[2] - self.before[2]


@contextmanager
def watch_hits() -> Iterator[Lookups]:
    """Yield what is looked up meanwhile in this thread."""
    yield Lookups(_counted())


@contextmanager
def unwatched() -> Iterator[None]:
    """Look things up in a stage that runs all the same, so that it does not pass for cached."""
    before = _counted()
    try:
        yield
    finally:
        for counter, value in zip(_COUNTERS, before, strict=True):
            setattr(_counts, counter, value)


def _counted() -> tuple[float, ...]:
    return tuple(getattr(_counts, counter, 0) for counter in _COUNTERS)


def _count(counter: str, amount: float = 1) -> None:
    setattr(_counts, counter, getattr(_counts, counter, 0) + amount)


@lru_cache
def _code_digest() -> str:
    """Return the digest of the package's code and the libraries that compute."""
    root = Path(__file__).parents[2]
    digest = hashlib.sha256(sys.version.encode())
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            digest.update(f"{name} {version(name)}\n".encode())
    rooms = sorted(init.parent for init in root.glob("*/__init__.py"))
    files = (file for room in rooms for kind in ("*.py", "*.in") for file in room.rglob(kind))
    for file in sorted(files):
        digest.update(file.relative_to(root).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()
