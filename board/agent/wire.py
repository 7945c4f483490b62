"""Frames between the two ends: a line of JSON, and raw bytes after it where it says so."""

from __future__ import annotations

import json
import os
import select
import threading
from collections.abc import Iterable
from typing import Any, Dict, Union

LONGEST_LINE = 1 << 20
Message = Dict[str, Any]
Bytes = Union[bytes, bytearray]


class Refusal(Exception):
    """What could not be done: a code for the other end, and a text for who reads it."""

    def __init__(self, code: str, text: str, **more: Any) -> None:
        super().__init__(code, text)
        self.fields: Message = {"code": code, "text": text, **more}


class Wire:
    """The requests that come in from a descriptor, and the replies that go out to another."""

    def __init__(self, source: int, sink: int) -> None:
        self.source, self._sink = source, sink
        self._reader = os.fdopen(source, "rb", closefd=False)
        self._lock = threading.Lock()

    def is_waiting(self, seconds: float) -> bool:
        """Return whether anything has come, or the end, within so many seconds."""
        return bool(select.select([self.source], [], [], seconds)[0])

    def request(self) -> Message | None:
        """Return the next request, None at the end. Raises ValueError for what is none."""
        line = self._reader.readline(LONGEST_LINE)
        if not line:
            return None
        message = json.loads(line.decode("utf-8"))
        if not isinstance(message, dict):
            raise ValueError("not a table")
        return message

    def content(self, size: int) -> bytes:
        """Return the raw bytes after a request. Raises EOFError when the other end is gone."""
        content = self._reader.read(size)
        if len(content) != size:
            raise EOFError
        return content

    def send(self, message: Message, parts: Iterable[Bytes] = ()) -> None:
        """Send one message whole, with the bytes that belong to it."""
        pieces: list[Bytes] = list(parts)
        if pieces:
            message = dict(message, bytes=sum(map(len, pieces)))
        line = json.dumps(message, allow_nan=False).encode("utf-8") + b"\n"
        with self._lock:
            for piece in (line, *pieces):
                self._write(piece)

    def _write(self, piece: Bytes) -> None:
        view = memoryview(piece)
        while view:
            view = view[os.write(self._sink, view) :]
