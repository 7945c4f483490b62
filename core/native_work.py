"""What a process is doing in native code, where the one that watches it can read it.

Code of a library that turns in a loop, or crashes, can neither be stopped nor explained by the
process that it is in. So that process writes down when such work begins and ends, in memory that
it shares with its watcher; see cli/supervisor.py. Without a watcher nothing is written.
"""

from __future__ import annotations

import mmap
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import NamedTuple

DEFAULT_LIMIT = 1800.0  # seconds
# when it began (monotonic, 0 for no work), the seconds that it may take, and what it is
_RECORD = struct.Struct("dd112s")
_RECORDS = 64  # threads at work at once
_BEGIN = struct.Struct("d")

_shared: mmap.mmap | None = None
_limit = DEFAULT_LIMIT
_numbers = count()
_own = threading.local()


class NativeWork(NamedTuple):
    """Work that has not ended: what it is, since when (monotonic), and how long it may take."""

    text: str
    since: float
    limit: float


def share() -> None:
    """Make the memory that this process and those that it forks from now on have in common."""
    global _shared
    _shared = mmap.mmap(-1, _RECORD.size * _RECORDS)


def limit_to(seconds: float) -> None:
    """Let work that begins from now on take so long at most."""
    global _limit
    _limit = seconds


@contextmanager
def native_work(text: str) -> Iterator[None]:
    """Say that the block is in native code, such as "ONNX Runtime ran the model"."""
    if _shared is None:
        yield
        return
    place = _place()
    before = _shared[place : place + _RECORD.size]  # work within other work of the same thread
    _RECORD.pack_into(_shared, place, 0.0, _limit, text.encode()[:112])
    _BEGIN.pack_into(_shared, place, time.monotonic())  # last, so that what it says is whole
    try:
        yield
    finally:
        _BEGIN.pack_into(_shared, place, 0.0)
        _shared[place : place + _RECORD.size] = before


def unfinished_work() -> list[NativeWork]:
    """Return the work that has begun and not ended, the earliest first."""
    records = [] if _shared is None else list(_RECORD.iter_unpack(_shared))
    work = [
        NativeWork(text.rstrip(b"\0").decode(errors="replace"), since, limit)
        for since, limit, text in records
        if since
    ]
    return sorted(work, key=lambda record: record.since)


def _place() -> int:
    if not hasattr(_own, "place"):
        _own.place = next(_numbers) % _RECORDS * _RECORD.size
    place: int = _own.place
    return place
