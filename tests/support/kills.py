"""A command that is killed at some moment, and what of docs/robustness.md does not hold then."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal

import psutil

from rockpress.convert.toolkit.rknn_file import is_cut_short
from rockpress.core.files import sha256_of
from rockpress.report.documents.document import comparable

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
Victim = Literal["command", "child", "group", "board"]
VICTIMS: tuple[Victim, ...] = ("command", "child", "group")
_WORDS = {signal.SIGTERM: "terminated", signal.SIGINT: "interrupted", signal.SIGHUP: "hung up"}
_IN_MAIN = 'entry.py", line'
_SECONDS = 300  # for what takes ten, on a machine that is busy
_SECONDS_TO_END = 60
_SECONDS_LEFT = 10  # until the system has buried what was killed
_FOLDERS = ("cwd", "scratch", "cache", "out")
# the toolkit writes addresses into a .rknn, and who names a file gives its digest
_VARYING = (".rknn", ".rknn.json", ".html", "report.json")


@dataclass(frozen=True)
class Kill:
    """A signal, to whom, and after how many seconds."""

    number: signal.Signals
    victim: Victim
    moment: float


@dataclass(frozen=True)
class Given:
    """What a command gives that nobody disturbs."""

    code: int
    said: Any
    files: dict[str, str]
    seconds: float


class Killed:
    """One command in folders of its own, again and again."""

    def __init__(
        self,
        folder: Path,
        words: Sequence[object],
        board: Callable[[], list[psutil.Process]] = list,
    ) -> None:
        """Run it once undisturbed in ``folder``; it writes to ``../out`` alone.

        ``board`` returns what runs for it on the board that it talks to.
        """
        self.folder, self._board = folder, board
        self._tells_free_memory = words[0] == "doctor"
        self._line = [sys.executable, "-m", "rockpress", *map(str, words)]
        for name in _FOLDERS:
            (folder / name).mkdir(parents=True)
        begin = time.monotonic()
        code, out, err = self._ended(self._started())
        assert code in (0, 4), err
        self.given = Given(code, self._said(out), self._files(), time.monotonic() - begin)

    def forget(self) -> None:
        """Remove its results and its cache, so that all is computed once more."""
        for name in ("cache", "out"):
            shutil.rmtree(self.folder / name)
            (self.folder / name).mkdir()

    def kill(self, kill: Kill) -> list[str]:
        """Disturb it once; return what should not be."""
        before, scratch = self._files(), self._scratch()
        process = self._started()
        time.sleep(kill.moment)
        is_met = self._send(process, kill)
        try:
            code, _, err = self._ended(process)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return ["it did not end"]
        # nobody can clean up who is killed like this; the next command does, if it gets that far
        may_leave = kill.number == signal.SIGKILL and kill.victim in ("command", "group")
        if may_leave:
            self._remove_parts()
        may_stay = self._scratch() if may_leave else scratch | _logs_named_in(err)
        broken = self._broken_files(before) + self._left(may_stay)
        if not is_met:
            return broken
        return broken + self._broken_words(kill, code, err)

    def again(self) -> list[str]:
        """Run it undisturbed; return how that differs from the first time."""
        code, out, err = self._ended(self._started())
        if code != self.given.code:
            return [f"later: {code} instead of {self.given.code}: {err[-600:]}"]
        broken = [] if self._said(out) == self.given.said else [f"later: it said {out[:600]}"]
        files, first = self._files(), self.given.files
        differing = sorted(
            {name for name in {*files, *first} if files.get(name) != first.get(name)}
        )
        broken += [f"later: {name} is another" for name in differing]
        return broken + self._left(set())

    def _said(self, out: str) -> Any:
        if self._tells_free_memory:
            return re.sub(r"[\d.]+ GB", "memory", out)
        try:
            return comparable(json.loads(out))
        except ValueError:
            return out

    def _started(self) -> subprocess.Popen[str]:
        places = {"TMPDIR": "scratch", "ROCKPRESS_CACHE_DIR": "cache"}
        return subprocess.Popen(
            self._line,
            cwd=self.folder / "cwd",
            env={**os.environ, **{key: str(self.folder / name) for key, name in places.items()}},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def _ended(self, process: subprocess.Popen[str]) -> tuple[int, str, str]:
        out, err = process.communicate(timeout=_SECONDS)
        return process.returncode, out, err

    def _send(self, process: subprocess.Popen[str], kill: Kill) -> bool:
        """Return whether there was somebody to get it."""
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            if process.poll() is not None:
                return False
            if kill.victim == "command":
                process.send_signal(kill.number)
            elif kill.victim == "group":
                os.killpg(process.pid, kill.number)
            else:
                is_there = kill.victim == "board"
                below = self._board() if is_there else psutil.Process(process.pid).children(True)
                if not below:
                    return False
                Random(kill.moment).choice(below).send_signal(kill.number)
            return True
        return False

    def _broken_words(self, kill: Kill, code: int, err: str) -> list[str]:
        if kill.number == signal.SIGINT and "Traceback" in err and _IN_MAIN not in err:
            return []  # Python itself was starting
        stopped = {128 + kill.number, -kill.number, self.given.code}
        if code not in (stopped | {1} if kill.victim in ("child", "board") else stopped):
            return [f"code {code}: {err[-600:]}"]
        broken = [] if "Traceback" not in err else [f"traceback: {err[-600:]}"]
        if code == 128 + kill.number and _WORDS[kill.number] not in err.splitlines():
            broken.append(f"no word: {err[-600:]}")
        if code == 1 and "error: " not in err:
            broken.append(f"no error: {err[-600:]}")
        return broken

    def _broken_files(self, before: dict[str, str]) -> list[str]:
        """Return which files in the output are neither whole nor as they were."""
        now = self._files()
        broken = [f"lost {name}" for name in before if name not in now]
        for name, digest in now.items():
            if digest != self.given.files.get(name):
                broken.append(f"half-written {name}")
        return broken

    def _remove_parts(self) -> None:
        """Remove what would be left for an hour of files that were just being put in place."""
        for part in (self.folder / "out").rglob(".*.part"):
            part.unlink()

    def _scratch(self) -> set[Path]:
        return set((self.folder / "scratch").rglob("*"))

    def _left(self, known: set[Path]) -> list[str]:
        deadline = time.monotonic() + _SECONDS_LEFT
        while (running := self._processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        broken = [f"process {' '.join(process)}" for process in running]
        left = self._scratch() - known | set((self.folder / "cwd").rglob("*"))
        return broken + [f"left {path}" for path in sorted(left)]

    def _processes(self) -> list[list[str]]:
        ours, running = f"{self.folder}/scratch", []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.environ().get("TMPDIR", "").startswith(ours):
                    running.append([str(process.pid), process.status(), *process.cmdline()[-3:]])
        return running

    def _files(self) -> dict[str, str]:
        """Return the digest of each file in the output, where two runs give the same."""
        out = self.folder / "out"
        files = (path for path in out.rglob("*") if path.is_file())
        return {str(path.relative_to(out)): _state(path) for path in files}


def _logs_named_in(err: str) -> set[Path]:
    """Return the logs that an error of one line leaves for its reader."""
    return {Path(path) for path in re.findall(r"^log: (.+)$", err, re.MULTILINE)}


def _state(path: Path) -> str:
    """Return what the file is: its digest, or whether it is whole."""
    if not path.name.endswith(_VARYING):
        return sha256_of(path)
    if path.suffix == ".rknn":
        return "cut short" if is_cut_short(path) else "whole"
    text = path.read_text()
    if path.suffix == ".html":
        return "whole" if text.rstrip().endswith("</html>") else "cut short"
    with suppress(ValueError):
        json.loads(text)
        return "whole"
    return "cut short"
