"""A command in a process with limits, and which promises of docs/robustness.md it broke."""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.util
import os
import re
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

import psutil

Stream = Literal["closed", "full", "gone"]

_MEMORY_BYTES = 6 * 2**30
_SECONDS = 180  # on a machine that is busy; the command alone takes two, or ten with a build
_SECONDS_TO_STOP = 20
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_LINE = 1500  # characters: a value is told in 200
_SERVER = multiprocessing.get_context("forkserver")
# what every command would import anew
_SERVER.set_forkserver_preload(
    [
        "promises",
        "onnxruntime",
        "rockpress.cli.main",
        "rockpress.pipeline.check",
        "rockpress.pipeline.convert_file",
        "rockpress.pipeline.inspection",
        "rockpress.pipeline.predict_file",
        "rockpress.pipeline.prune_file",
        "rockpress.pipeline.quantize_file",
        "rockpress.pipeline.recipes.recipe_file",
    ]
)


@dataclass(frozen=True)
class Trial:
    """A command, and what is around it.

    ``streams`` are those (1, 2) that are closed, a full disk, or a pipe that nobody reads;
    ``stop`` is a signal and after how many seconds it comes.
    """

    words: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    streams: Mapping[int, Stream] = field(default_factory=dict)
    stop: tuple[int, float] | None = None

    @property
    def codes(self) -> set[int]:
        """The exit codes that are promised."""
        gone = {128 + signal.SIGPIPE} if "gone" in self.streams.values() else set()
        return {0, 1, 2, 4, *gone, *((128 + self.stop[0], -self.stop[0]) if self.stop else ())}


def tried(trial: Trial, work: Path) -> tuple[int | None, list[str]]:
    """Run the command in ``work/cwd``; return its exit code and what it should not have done.

    The inputs are in ``work``, and what it writes goes to ``work/out``.
    """
    for name in ("cwd", "scratch", "out", "cache"):
        (work / name).mkdir()
    _give_sockets_a_short_path()
    process = _SERVER.Process(target=_command, args=(trial, work))
    process.start()
    code = _ended(process, trial)
    return code, [*_said_wrong(code, trial, work), *_left(code, work)]


@cache
def _give_sockets_a_short_path() -> None:
    """Let those of the server be in /tmp: the system takes 107 bytes, and TMPDIR may be longer."""
    before, tempfile.tempdir = tempfile.tempdir, "/tmp"
    try:
        multiprocessing.util.get_temp_dir()  # made once, and removed when this process ends
    finally:
        tempfile.tempdir = before


def _command(trial: Trial, work: Path) -> None:
    """Become the command: in a new interpreter where what is around it has to be there at once."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    os.chdir(work / "cwd")
    os.environ["TMPDIR"] = str(work / "scratch")
    os.environ["ROCKPRESS_CACHE_DIR"] = str(work / "cache")
    os.environ.update(trial.environment)
    for number in (1, 2):
        _direct(number, trial.streams.get(number), work)
    if trial.environment or trial.streams:
        line = [sys.executable, "-m", "rockpress", *trial.words]
        os.execv(line[0], line)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
    sys.argv = ["rockpress", *trial.words]
    tempfile.tempdir = None
    from rockpress.cli.main import main

    main()


def _direct(number: int, stream: Stream | None, work: Path) -> None:
    """Let a stream lead to its file in ``work``, or to what it should be."""
    if stream == "closed":
        os.close(number)
        return
    if stream == "gone":
        reading, target = os.pipe()
        os.close(reading)
    else:
        path = "/dev/full" if stream == "full" else str(work / f"stream{number}")
        target = os.open(path, os.O_CREAT | os.O_WRONLY)
    os.dup2(target, number)


def _ended(process: multiprocessing.process.BaseProcess, trial: Trial) -> int | None:
    """Wait for the process, with its signal, and return its exit code; None when it hung."""
    seconds = float(_SECONDS)
    if trial.stop:
        number, after = trial.stop
        with suppress(psutil.Error):  # a signal before the command begins would be Python's
            while process.is_alive() and not psutil.Process(process.pid).children():
                time.sleep(0.01)
        time.sleep(after)
        with suppress(ProcessLookupError):
            os.kill(process.pid or 0, number)
        seconds = _SECONDS_TO_STOP
    process.join(seconds)
    code = process.exitcode
    with suppress(ProcessLookupError):
        if process.pid and process.is_alive():
            os.killpg(process.pid, signal.SIGKILL)
    process.join()
    return code


def _said_wrong(code: int | None, trial: Trial, work: Path) -> list[str]:
    """Return what is wrong with the exit code and the two streams."""
    said = _text_of(work / "stream2")
    if trial.environment.get("FORCE_COLOR"):
        said = _COLOUR.sub("", said)
    wrong = []
    if code not in trial.codes:
        wrong.append(f"code {code}: {said[-600:]}")
    if code in (1, 2) and 2 not in trial.streams and not _is_explained(said.splitlines()):
        wrong.append(f"no single error at the end: {said[-600:]}")
    strange = [line for line in said.splitlines() if not line.startswith(_OURS)]
    if strange and code in (0, 1, 2, 4):
        wrong.append(f"others' words: {strange[0][:200]}")
    if long := [line for line in said.splitlines() if len(line) > _LINE]:
        wrong.append(f"a line of {len(long[0])} characters: {long[0][:300]}")
    if code in (0, 4) and "--json" in trial.words and 1 not in trial.streams:
        wrong += _broken_json(_text_of(work / "stream1"))
    return wrong


def _is_explained(lines: Sequence[str]) -> bool:
    """Return whether one error ends the lines, with a hint where it does not say what to do."""
    kinds = [line.partition(": ")[0] for line in lines if not line.startswith("log: ")]
    return "error" in kinds[-2:] and kinds.count("error") == 1


def _broken_json(text: str) -> list[str]:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError as error:
        return [f"stdout is no JSON document: {error}: {text[:200]}"]
    return []


_OURS = (
    "error: ",
    "hint: ",
    "log: ",
    "warning: ",
    "rockpress: ",
    "interrupted",
    "terminated",
    "hung up",
    "ended by ",
)


def _left(code: int | None, work: Path) -> list[str]:
    """Return what is there and should not be: files of a failure, scratch folders, processes."""
    has_result = code in (0, 4, 128 + signal.SIGPIPE)
    folders = ("cwd", "scratch") if has_result else ("cwd", "scratch", "out")
    logs = {
        Path(line[5:]) for line in _text_of(work / "stream2").splitlines() if line[:5] == "log: "
    }
    there = {path for name in folders for path in (work / name).iterdir()}
    left = [f"left {path.name}" for path in sorted(there - logs)]
    return left + [f"left process {process.pid}" for process in _processes_in(work)]


def _processes_in(work: Path) -> list[psutil.Process]:
    left = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.cwd().startswith(str(work)):
                left.append(process)
    return left


def _text_of(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
