"""The parent of the child process: starts it, watches it, and leaves nothing of it behind."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .failures import Ending, ToolkitMissing, ToolkitSilent, failure_of
from .rknn_file import is_cut_short

_CHILD = Path(__file__).with_name("child.py")
_RKNN = "model.rknn"


@dataclass(frozen=True)
class FedInput:
    """One input of the simulator: a raw file of ``count`` arrays, and their layout."""

    file: str
    dtype: str
    shape: tuple[int, ...]
    layout: str


@dataclass(frozen=True)
class Job:
    """What the child is to do; every path is inside the job folder or absolute."""

    model: str
    config: Mapping[str, Any]
    dataset: str | None = None
    inputs: tuple[FedInput, ...] = ()
    count: int = 0


@dataclass(frozen=True)
class Limits:
    """Wall-clock seconds and gigabytes of address space for one child."""

    timeout: float
    memory_gb: float


@dataclass(frozen=True)
class Built:
    """What the child made. ``rknn`` lies in the job folder and goes with it."""

    toolkit: str
    log: str
    rknn: Path
    outputs: list[NDArray[np.float32]] | None


@contextmanager
def job_folder() -> Iterator[Path]:
    """A private folder that is gone afterwards, whatever happened in it."""
    with tempfile.TemporaryDirectory(prefix="rockpress-") as folder:
        yield Path(folder)


def run_job(
    job: Job,
    folder: Path,
    *,
    what: str,
    limits: Limits,
    python: Path | None = None,
    on_progress: Callable[[str], None] = lambda stage: None,
) -> Built:
    """Run one job in a child process. Raises a ToolkitError that says how it failed.

    ``what`` names the work in messages, such as "model.onnx for rk3588". ``python`` is the
    interpreter that has the toolkit; by default this one.
    """
    _remove_results(folder)
    code, stage = _run_child(job, folder, limits, python, on_progress)
    result = _read_result(folder)
    log = _read_log(folder)
    error = failure_of(Ending(what, code, stage, result, log, limits.timeout, limits.memory_gb))
    if error is not None:
        raise error
    return _collect(job, folder, result, log, what)


def _collect(job: Job, folder: Path, result: Mapping[str, Any], log: str, what: str) -> Built:
    rknn = folder / _RKNN
    if not rknn.is_file() or not rknn.stat().st_size:
        raise ToolkitSilent(
            f"rknn-toolkit2 {result['toolkit']} reported success, but wrote no .rknn of {what}",
            "check the free space in the temporary folder",
            log,
        )
    if is_cut_short(rknn):
        raise ToolkitSilent(
            f"rknn-toolkit2 {result['toolkit']} reported success, but wrote only the first "
            f"{rknn.stat().st_size} bytes of {what}: no space left, or the file is too large",
            f"make space in {tempfile.gettempdir()}, or set TMPDIR to a folder that has some",
            log,
        )
    outputs = None
    if job.count:
        # mapped, not read: the files stay readable after the folder is gone, and cost no memory
        files = [folder / f"output{index}.npy" for index in range(result["outputs"])]
        outputs = [np.asarray(np.load(file, mmap_mode="r")) for file in files]
    return Built(result["toolkit"], log, rknn, outputs)


def _run_child(
    job: Job,
    folder: Path,
    limits: Limits,
    python: Path | None,
    on_progress: Callable[[str], None],
) -> tuple[int | None, str]:
    """Exit code (None at the time limit) and the last stage the child had reported."""
    reader, writer = os.pipe()
    deadline = time.monotonic() + limits.timeout
    try:
        _write_job(job, folder, limits, writer)
        process = _start(folder, python, writer)
        try:
            os.close(writer)
            writer = -1
            stage = _follow(reader, deadline, on_progress)
            return _wait(process, deadline), stage
        finally:
            _stop(process)
    finally:
        os.close(reader)
        if writer >= 0:
            os.close(writer)


def _start(folder: Path, python: Path | None, progress: int) -> subprocess.Popen[bytes]:
    command = [str(python or sys.executable), str(_CHILD), "job.json"]
    with (folder / "log.txt").open("wb") as log:
        try:
            return subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"},
                pass_fds=(progress,),
                start_new_session=True,
            )
        except OSError as error:
            raise ToolkitMissing(
                f"cannot start {command[0]}: {error.strerror or error}",
                "--toolkit-python takes the path of a Python interpreter",
            ) from error


def _follow(reader: int, deadline: float, on_progress: Callable[[str], None]) -> str:
    """Pass progress lines on until the child ends or time is up; return the last stage."""
    stage, pending = "start", b""
    with selectors.DefaultSelector() as selector:
        selector.register(reader, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            chunk = os.read(reader, 4096)
            if not chunk:
                break
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                stage = line.decode().partition(" ")[0]
                on_progress(line.decode())
    return stage


def _wait(process: subprocess.Popen[bytes], deadline: float) -> int | None:
    try:
        return process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it started: it is the leader of a session of its own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _write_job(job: Job, folder: Path, limits: Limits, progress: int) -> None:
    orders = {
        **asdict(job),
        "export": _RKNN,
        "parent": os.getpid(),
        "progress": progress,
        "memory_limit": int(limits.memory_gb * (1 << 30)),
    }
    (folder / "job.json").write_text(json.dumps(orders), encoding="utf-8")


def _remove_results(folder: Path) -> None:
    for file in (folder / "result.json", folder / _RKNN, *folder.glob("output*.npy")):
        file.unlink(missing_ok=True)


def _read_result(folder: Path) -> Mapping[str, Any]:
    file = folder / "result.json"
    if not file.is_file():
        return {}
    result: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return result


def _read_log(folder: Path) -> str:
    return (folder / "log.txt").read_text(encoding="utf-8", errors="replace").replace("\r", "\n")
