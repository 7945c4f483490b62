"""Frames to and from the agent over the streams of its process, none of them waited for endlessly.

A frame is a line of JSON, and so many raw bytes after it where it has ``bytes``.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from ..core.errors import BoardError
from .faults.agent_faults import BOARD_HANGS, BROKEN_REPLY, NOISE, REPLY_TOO_LARGE, agent_end
from .links.link import BoardProcess, Link

Message: TypeAlias = dict[str, Any]
LONGEST_LINE = 1 << 20
_NOISE_LINES, _NOISE_BYTES = 100, 1 << 16
_CHUNK = 1 << 16
_SECONDS_TO_END = 5.0  # of a program that has closed its output
_LONGEST_CONTENT = 1 << 31


class Channel:
    """The streams of an agent's process.

    All methods raise BoardError: when nothing moves for ``timeout`` seconds, when the other end is
    gone, and for what is no frame.
    """

    def __init__(self, process: BoardProcess, timeout: float, link: Link) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._process, self._timeout, self._link = process, timeout, link
        self._input, self._output = process.stdin.fileno(), process.stdout.fileno()
        os.set_blocking(self._input, False)
        os.set_blocking(self._output, False)
        self._received = bytearray()
        self._is_ended = False

    def send(self, message: Message, contents: Sequence[bytes] = ()) -> None:
        """Send a frame, with ``contents`` as its bytes."""
        if contents:
            message = {**message, "bytes": sum(map(len, contents))}
        for piece in (json.dumps(message).encode() + b"\n", *contents):
            view = memoryview(piece)
            while view:
                self._wait_for(selectors.EVENT_WRITE)
                with suppress(BlockingIOError):
                    view = view[self._write(view) :]

    def receive(self, largest: int = 0) -> tuple[Message, bytes]:
        """Return the next frame, whose bytes are ``largest`` at most."""
        message = _message(self._line())
        if message is None:
            raise self._broken("a line that is no message")
        size = message.get("bytes", 0)
        if type(size) is not int or size < 0:
            raise self._broken(f"a message with {size!r:.40} bytes")
        most = min(largest, _LONGEST_CONTENT)
        if size > most:
            raise REPLY_TOO_LARGE.error(self._link.address, size=f"{size:.3g}", most=str(most))
        return message, self._take(size)

    def greeting(self) -> Message:
        """Return the agent's first message; what a shell prints before it is passed over."""
        noise = b""
        for _ in range(_NOISE_LINES):
            line = self._line()
            message = _message(line)
            if message is not None and "agent" in message:
                return message
            noise += line
            if len(noise) > _NOISE_BYTES:
                break
        raise NOISE.error(self._link.address, noise.decode(errors="replace"))

    def _line(self) -> bytes:
        searched = 0
        while (end := self._received.find(b"\n", searched)) < 0:
            searched = len(self._received)
            if searched > LONGEST_LINE:
                raise self._broken("a line without an end")
            self._read()
        return self._take(end + 1)

    def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            self._read()
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def _read(self) -> None:
        self._wait_for(selectors.EVENT_READ)
        with suppress(BlockingIOError):
            chunk = os.read(self._output, _CHUNK)
            if not chunk:
                raise self._ended()
            self._received += chunk

    def _write(self, view: memoryview) -> int:
        try:
            return os.write(self._input, view[:_CHUNK])
        except BrokenPipeError:
            raise self._ended() from None

    def _wait_for(self, event: int) -> None:
        """Wait until the stream takes or has something; what the agent says meanwhile is kept."""
        deadline = time.monotonic() + self._timeout
        while (left := deadline - time.monotonic()) > 0:
            with selectors.DefaultSelector() as selector:
                selector.register(self._output, selectors.EVENT_READ)
                if event == selectors.EVENT_WRITE:
                    selector.register(self._input, selectors.EVENT_WRITE)
                ready = {key.fd for key, _ in selector.select(left)}
            if (self._input if event == selectors.EVENT_WRITE else self._output) in ready:
                return
            if ready and not self._keep():
                raise self._ended()
        raise BOARD_HANGS.error(self._link.address, seconds=f"{self._timeout:g}")

    def _keep(self) -> bool:
        """Keep what has come while something is sent; False at its end."""
        chunk = os.read(self._output, _CHUNK)
        self._received += chunk
        if len(self._received) > LONGEST_LINE:
            raise self._broken("more than it was asked for")
        return bool(chunk)

    def _ended(self) -> BoardError:
        """Return why the other end is gone: the connection, or the program there."""
        if broken := self._link.broken():
            return broken
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(_SECONDS_TO_END)
            return agent_end(self._link.address, code, self._link.words())
        return self._broken("it closed its output")

    def _broken(self, seen: str) -> BoardError:
        return BROKEN_REPLY.error(self._link.address, seen)


def _message(line: bytes) -> Message | None:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None
