"""No link at all: this machine is the board."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType

from ...core.errors import BoardError
from ...core.scratch import scratch_folder


class LocalLink:
    """A folder of this machine, and processes in it; see Link."""

    address = "local"

    def __init__(self, python: str = sys.executable) -> None:
        self.python = python
        self._opened = ExitStack()
        self._parent = self._opened.enter_context(scratch_folder())
        self._processes: list[subprocess.Popen[bytes]] = []
        # of its own, as the agent removes the folder that it lies in
        self.folder = str(self._parent / "agent")
        os.mkdir(self.folder, 0o700)

    def put(self, content: bytes | Path, name: str) -> str:
        """Write a file into the folder; return its path. Raises BoardError."""
        path = Path(self.folder, name)
        try:
            path.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
        except OSError as error:
            raise BoardError(
                f"cannot write {path}: {error.strerror}",
                "make space there, or set TMPDIR to a folder that has some",
                fault="cannot-write",
            ) from error
        return str(path)

    def start(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a program. Raises BoardError when there is none."""
        try:
            process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as error:
            raise BoardError(
                f"cannot start {argv[0]}: {error.strerror}",
                "install Python 3.7 or later",
                fault="no-python",
            ) from error
        self._processes.append(process)
        return process

    def words(self) -> str:
        """Return "": there is no program between."""
        return ""

    def broken(self) -> None:
        """Return None: there is no connection that could break."""

    def close(self) -> None:
        """End what was started and remove the folder."""
        for process in self._processes:
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with suppress(OSError):
                        stream.close()
            try:
                process.wait(timeout=5)  # it has lost its other end, and puts things back
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        self._opened.close()

    def __enter__(self) -> LocalLink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
