"""A program of this machine whose pipes lead to a board."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import IO

from ...core.working_time import WorkingTime

# what starting one raises where there is none, or the PATH leads to something else
NO_PROGRAM = (FileNotFoundError, PermissionError, NotADirectoryError)
_MOST_OUTPUT = 8192  # bytes of stderr that are read
_LOOK_SECONDS = 0.5
# of other lines before the one that is waited for: what a shell prints when it starts
_MOST_NOISE = 1 << 16


class Program(subprocess.Popen[bytes]):
    """It has pipes of bytes at stdin, unless that is a file, and stdout; its stderr is a file.

    A Ctrl-C in the terminal does not reach it: who started it ends it in order.
    """

    def __init__(
        self,
        words: Sequence[str],
        stdin: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start it. Raises OSError."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed when it is ended)
        self._last_errors = ""
        super().__init__(
            words,
            stdin=stdin or subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )

    def stderr_text(self) -> str:
        """Return the last that it said on stderr."""
        if self._errors.closed:
            return self._last_errors
        end = os.fstat(self._errors.fileno()).st_size
        content = os.pread(self._errors.fileno(), _MOST_OUTPUT, max(0, end - _MOST_OUTPUT))
        return content.decode(errors="replace").strip()

    def lines(self, seconds: float) -> Iterator[str]:
        """Yield the lines of stdout, until it ends, is too much, or the time is over."""
        assert self.stdout
        clock, pending, total = WorkingTime(), b"", 0
        while (left := seconds - clock.seconds()) > 0 and total < _MOST_NOISE:
            if not select.select([self.stdout], [], [], min(left, _LOOK_SECONDS))[0]:
                continue
            chunk = os.read(self.stdout.fileno(), 4096)
            if not chunk:
                break
            total += len(chunk)
            *whole, pending = (pending + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in whole)
        if pending:
            yield pending.decode(errors="replace")

    def ended_within(self, seconds: float) -> bool:
        """Wait for its end; return whether it came. Time in which we are stopped is none."""
        clock = WorkingTime()
        while self.poll() is None and (left := seconds - clock.seconds()) > 0:
            with suppress(subprocess.TimeoutExpired):
                self.wait(min(left, _LOOK_SECONDS))
        return self.poll() is not None

    def end(self, seconds: float) -> None:
        """Close its stdin, wait a while for its end, then kill it and what it started."""
        if self.stdin:
            with suppress(OSError):
                self.stdin.close()
        self.ended_within(seconds)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()
        if self.stdout:
            self.stdout.close()
        self._last_errors = self.stderr_text()
        self._errors.close()
