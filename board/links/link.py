"""What a way to a board can do: put a file into a folder there, and start a program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol

from ...core.errors import BoardError


class BoardProcess(Protocol):
    """A program on the board, as subprocess.Popen has it: its streams are binary pipes."""

    stdin: IO[bytes] | None
    stdout: IO[bytes] | None

    def poll(self) -> int | None:
        """Return the exit status, None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises subprocess.TimeoutExpired."""

    def kill(self) -> None:
        """End it at once."""


class Link(Protocol):
    """An open way to a board.

    ``folder`` is one there that nobody else may read, made when the link was opened and removed
    when it is closed. ``python`` is the interpreter to start, ``address`` what the user calls the
    board. All methods raise BoardError.
    """

    address: str
    folder: str
    python: str

    def put(self, content: bytes | Path, name: str) -> str:
        """Write a file into the folder; return its path on the board."""

    def start(self, argv: Sequence[str]) -> BoardProcess:
        """Start a program there, with stdin and stdout of its own."""

    def words(self) -> str:
        """Return what the link's own program has said on stderr so far, "" for nothing."""

    def broken(self) -> BoardError | None:
        """Return why nothing gets there any more; None while the connection lasts."""

    def close(self) -> None:
        """End what runs there and remove the folder; does nothing the second time."""

    def __enter__(self) -> Link: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
