"""A board whose shell a program of this machine reaches: that of ssh, or of adb."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ...core.errors import BoardError
from ...core.unfinished import unique_name
from ..faults.fault import Fault, fault_in
from ..faults.place_faults import NO_FOLDER, NO_PYTHON, NOT_WRITTEN, OLD_PYTHON, PLACE_FAULTS
from .folder_keeper import for_sh, keeper, keeper_answer, running, writing
from .heartbeat import Heartbeat
from .program import NO_PROGRAM, Program

OLDEST_PYTHON = (3, 7)
_ANSWER_SECONDS = 30.0
# what programs get to end in order, and the board to clean up; the latter when a signal ends us
_PATIENCE, _HURRY = 5.0, 0.3
_BROKEN_SECONDS = 1.0  # the program that keeps the folder is not always the first to notice


@dataclass(frozen=True)
class Shell:
    """How a line gets to the shell of a board, and what it means when it does not.

    ``first`` and ``further`` are the words of a program of this machine, before the line that it
    runs there; the former stays as long as the link. ``faults`` are what that says when it cannot
    connect, ``later`` what the others may say then. The rest is for when nothing of this is said:
    it cannot be started, does not answer, ends before the line ran, ends later. ``fields`` are
    named in the texts of all.
    """

    address: str
    first: Sequence[str]
    further: Sequence[str]
    environment: Mapping[str, str]
    faults: Sequence[Fault]
    later: Sequence[Fault]
    missing: Fault
    silent: Fault
    refusing: Fault
    lost: Fault
    fields: Mapping[str, str]


class ShellLink:
    """See Link. Its first program keeps the folder there; each further one runs a line."""

    python = "python3"

    def __init__(self, shell: Shell, seconds: float, ends: ExitStack) -> None:
        """Connect, and make the folder; ``ends`` is closed with it. Raises BoardError.

        ``seconds`` is what a file may take to get there.
        """
        self.address = shell.address
        self._shell, self._seconds = shell, seconds
        self._patience = _PATIENCE
        line = for_sh(keeper(f"rockpress-board-{unique_name()}"))
        with ends:
            self._keeper = self._last = self._program(shell.first, line)
            ends.callback(lambda: self._keeper.end(self._patience))
            self.folder = self._checked_folder()
            assert self._keeper.stdin is not None
            heartbeat = Heartbeat(self._keeper.stdin.fileno())
            ends.callback(heartbeat.stop)
            self._ends = ends.pop_all()

    def __enter__(self) -> ShellLink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def put(self, content: bytes | Path, name: str) -> str:
        """Write bytes, or what a file here holds, into the folder; return the path there."""
        with _opened(content) as file:
            program = self._program(self._shell.further, writing(self.folder, name), file)
            try:
                has_ended = program.ended_within(self._seconds)
                if not has_ended or program.returncode:
                    raise self._put_error(program, name, is_late=not has_ended)
            finally:
                program.end(0)
        return f"{self.folder}/{name}"

    def start(self, argv: Sequence[str]) -> Program:
        """Start a program there; it is ended with the link."""
        program = self._program(self._shell.further, running(self.folder, argv))
        self._ends.callback(lambda: program.end(self._patience))
        return program

    def words(self) -> str:
        """Return what the programs that lead there have said on stderr, the last of it."""
        programs = dict.fromkeys((self._keeper, self._last))
        return "\n".join(filter(None, (program.stderr_text() for program in programs)))

    def broken(self) -> BoardError | None:
        """Return why nothing gets there any more; None while the connection lasts."""
        if self._keeper.ended_within(_BROKEN_SECONDS):
            return self._error(self._shell.lost, self.words())
        fault = fault_in(self._last.stderr_text(), self._shell.later)
        return None if fault is None else self._error(fault, self._last.stderr_text())

    def close(self) -> None:
        """End what runs there, and remove the folder."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, Exception):
            self._patience = _HURRY
        self._ends.close()

    def _program(self, words: Sequence[str], line: str, stdin: IO[bytes] | None = None) -> Program:
        try:
            program = Program([*words, line], stdin, self._shell.environment)
        except NO_PROGRAM as error:
            raise self._error(self._shell.missing, str(error)) from error
        self._last = program
        return program

    def _checked_folder(self) -> str:
        """Return the folder there, once it is. Raises BoardError, for want of Python too."""
        answer = keeper_answer(self._keeper.lines(_ANSWER_SECONDS))
        if answer.folder:
            self._check_python(answer.python)
            return answer.folder
        if answer.refusal:
            fault = fault_in(answer.refusal, PLACE_FAULTS[:2]) or NO_FOLDER
            raise self._error(fault, answer.refusal)
        if not self._keeper.ended_within(_BROKEN_SECONDS):
            raise self._error(self._shell.silent, seconds=f"{_ANSWER_SECONDS:g}")
        words = self.words()
        fault = fault_in(words, self._shell.faults) or self._shell.refusing
        raise self._error(fault, words or "\n".join(answer.noise))

    def _check_python(self, answer: str) -> None:
        match = re.fullmatch(r"Python (\d+)\.(\d+)\S*", answer)
        if match is None:
            raise self._error(NO_PYTHON, answer)
        if tuple(map(int, match.groups())) < OLDEST_PYTHON:
            raise self._error(OLD_PYTHON, answer)

    def _put_error(self, program: Program, name: str, *, is_late: bool) -> BoardError:
        if is_late:
            return self._error(self._shell.silent, seconds=f"{self._seconds:g}")
        words = program.stderr_text()
        fault = fault_in(words, PLACE_FAULTS)
        broken = None if fault else self.broken()
        return broken or self._error(fault or NOT_WRITTEN, words, file=name)

    def _error(self, fault: Fault, output: str = "", **values: str) -> BoardError:
        return fault.error(self.address, output, **{**self._shell.fields, **values})


def _opened(content: bytes | Path) -> IO[bytes]:
    """Return a file to be read from its start."""
    if isinstance(content, Path):
        return content.open("rb")
    file = tempfile.TemporaryFile()  # noqa: SIM115  (whoever asked for it closes it)
    file.write(content)
    file.seek(0)
    return file
