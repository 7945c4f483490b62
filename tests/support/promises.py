"""A command in a forked process with limits, and which promises of docs/robustness.md it broke."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_MEMORY_BYTES = 6 * 2**30
_SECONDS = 90  # on a machine that is busy; the command alone takes two
_SECONDS_TO_STOP = 20
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["promises", "onnx", "onnxruntime", "rockpress.cli.main"])


@dataclass(frozen=True)
class Trial:
    """A command, and what is around it.

    ``closed`` are streams (1, 2), ``stop`` a signal and after how many seconds it comes.
    """

    words: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    closed: Sequence[int] = ()
    stop: tuple[int, float] | None = None


def tried(trial: Trial, work: Path) -> tuple[int | None, list[str]]:
    """Run the command in ``work/cwd``; return its exit code and what it should not have done.

    The inputs are in ``work``, and what it writes goes to ``work/out``.
    """
    for name in ("cwd", "scratch", "out", "cache"):
        (work / name).mkdir()
    process = _SERVER.Process(target=_command, args=(trial, work))
    process.start()
    code = _ended(process, trial)
    broken = _broken(code, trial, work)
    if code in (1, 2):
        broken += [f"left {path.name}" for path in (work / "out").iterdir()]
    return code, broken


def _command(trial: Trial, work: Path) -> None:
    """Become the command."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    for stream in (1, 2):
        os.dup2(os.open(work / f"stream{stream}", os.O_CREAT | os.O_WRONLY), stream)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
    os.environ.update(trial.environment)
    os.environ["TMPDIR"] = str(work / "scratch")
    os.environ["ROCKPRESS_CACHE_DIR"] = str(work / "cache")
    os.chdir(work / "cwd")
    sys.argv = ["rockpress", *trial.words]
    from rockpress.cli.main import main

    for stream in trial.closed:
        os.close(stream)
        setattr(sys, {1: "stdout", 2: "stderr"}[stream], None)
    main()


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


def _broken(code: int | None, trial: Trial, work: Path) -> list[str]:
    said = (work / "stream2").read_text(errors="replace") if (work / "stream2").exists() else ""
    stops = {128 + trial.stop[0], -trial.stop[0]} if trial.stop else set()
    broken = []
    if code not in {0, 1, 2, 4, *stops}:
        broken.append(f"code {code}: {said[-600:]}")
    lines = [line for line in said.splitlines() if line.startswith(("error: ", "hint: "))]
    told = [line for line in lines if line.startswith("error: ")]
    if code in (1, 2) and 2 not in trial.closed and len(told) != 1:
        broken.append(f"{len(told)} errors: {said[-600:]}")
    strange = [line for line in said.splitlines() if not line.startswith(_OURS)]
    if strange and code in (0, 1, 4):
        broken.append(f"others' words: {strange[0][:200]}")
    if long := [line for line in said.splitlines() if len(line) > 2600]:
        broken.append(f"a line of {len(long[0])} characters")
    broken += [
        f"left {path.name}" for name in ("cwd", "scratch") for path in (work / name).iterdir()
    ]
    broken += [f"left process {process.pid}" for process in _processes_in(work)]
    return broken


_OURS = ("error: ", "hint: ", "warning: ", "rockpress: ", "interrupted", "terminated", "hung up")


def _processes_in(work: Path) -> list[psutil.Process]:
    left = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.cwd().startswith(str(work)):
                left.append(process)
    return left
