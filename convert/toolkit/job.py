"""One job for the child process: what it is to do, and what came of it."""

from __future__ import annotations

import errno
import json
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import OutputError
from ...core.progress import SILENT, Progress
from ...core.scratch import MAKE_SPACE
from ...core.types import Range
from .failures import (
    Ending,
    Limits,
    ToolkitCrashed,
    ToolkitEnded,
    ToolkitHung,
    ToolkitSilent,
    failure_of,
)
from .process import LOG, ChildProcess
from .rknn_file import is_cut_short

_RKNN = "model.rknn"
_ROOM = 1 << 20  # bytes; the toolkit's files are larger than that, or there are several


@dataclass(frozen=True)
class RawInput:
    """One input of the simulator: a raw file of ``count`` arrays, and their layout."""

    file: str
    dtype: str
    shape: tuple[int, ...]
    layout: str


@dataclass(frozen=True)
class ToolkitPlan:
    """Of activations by tensor name: (low, high), and types other than int8 (float16, int16).

    ``aliases`` has further names that the toolkit may have for some of them, and ``measured`` what
    tells them under any name: their lowest and highest values on the calibration samples.
    """

    ranges: Mapping[str, Range]
    types: Mapping[str, str]
    aliases: Mapping[str, str] = field(default_factory=dict)
    measured: Mapping[str, Range] = field(default_factory=dict)


@dataclass(frozen=True)
class ToolkitJob:
    """What the child is to do; every path is inside the job folder or absolute.

    ``count`` samples are simulated, by up to ``processes`` processes.
    ``batch`` is how many samples the ``.rknn`` takes together, of a model that takes one.
    With a ``plan`` the float model is quantized by the toolkit with the plan's ranges and types.
    ``settings`` are further ones than ``config``, of config() or build(), by the names that the
    toolkit has for them.
    """

    model: str
    config: Mapping[str, Any]
    dataset: str | None = None
    plan: ToolkitPlan | None = None
    inputs: tuple[RawInput, ...] = ()
    count: int = 0
    processes: int = 1
    export: str | None = _RKNN
    batch: int = 1
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class BuildResult:
    """What the child made. ``rknn`` lies in the job folder and goes with it.

    ``carried`` names the tensors of the job's plan that the toolkit took over, ``disabled`` the
    rules of its optimisation that were off.
    """

    toolkit: str
    log: str
    rknn: Path
    outputs: list[NDArray[np.float32]] | None
    carried: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()


def run_job(
    job: ToolkitJob,
    folder: Path,
    *,
    label: str,
    limits: Limits,
    python: Path | None = None,
    child: ChildProcess | None = None,
    progress: Progress = SILENT,
) -> BuildResult:
    """Run one job in ``child``, or in one of its own. Raises a ToolkitError: how it failed.

    In one of its own a job that did not come to an end by itself is run once more the same way:
    only what repeats tells something of the model, by which another way may be chosen.

    ``label`` names the work in messages, such as "model.onnx for rk3588". ``python`` is the
    interpreter that has the toolkit; by default this one.
    """

    def run() -> BuildResult:
        return _run_once(job, folder, label, limits, python, child, progress)

    try:
        return run()
    except (ToolkitCrashed, ToolkitEnded, ToolkitHung):
        if child is not None:  # which is no more
            raise
    return run()


def _run_once(
    job: ToolkitJob,
    folder: Path,
    label: str,
    limits: Limits,
    python: Path | None,
    child: ChildProcess | None,
    progress: Progress,
) -> BuildResult:
    _prepare(job, folder, limits)
    with nullcontext(child) if child else ChildProcess(folder, python) as running:
        outcome = running.run(folder, limits, progress)
    result = _read_result(folder)
    log = (folder / LOG).read_text(encoding="utf-8", errors="replace").replace("\r", "\n")
    error = failure_of(Ending(label, outcome, result, log, limits))
    if error is not None and _is_full(folder):  # its own words are of anything but that
        text = (
            f"{error.message.partition(': ')[0]}: no space left in {folder.parent}, or the "
            "file is too large"
        )
        raise OutputError(text, MAKE_SPACE) from error
    if error is not None:
        raise error
    if job.export:
        _require_whole(folder / job.export, result["toolkit"], label, log)
    outputs = _outputs(folder, result["outputs"]) if job.count else None
    carried = tuple(result.get("carried", ()))
    disabled = tuple(job.config.get("disable_rules", ()))
    return BuildResult(result["toolkit"], log, folder / _RKNN, outputs, carried, disabled)


def _is_full(folder: Path) -> bool:
    """Return whether not even a small file can be written there, or none of its size."""
    probe = folder / "probe"
    try:
        probe.write_bytes(bytes(_ROOM))
    except OSError as error:
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    finally:
        probe.unlink(missing_ok=True)
    return False


def _require_whole(rknn: Path, toolkit: str, label: str, log: str) -> None:
    size = rknn.stat().st_size if rknn.is_file() else 0
    if not size:
        raise ToolkitSilent(
            f"rknn-toolkit2 {toolkit} reported success, but wrote no .rknn of {label}",
            "check the free space in the temporary folder",
            log,
        )
    if is_cut_short(rknn):
        raise ToolkitSilent(
            f"rknn-toolkit2 {toolkit} reported success, but wrote only the first {size} bytes of "
            f"{label}: no space left, or the file is too large",
            f"make space in {tempfile.gettempdir()}, or set TMPDIR to a folder that has some",
            log,
        )


def _outputs(folder: Path, count: int) -> list[NDArray[np.float32]]:
    # mapped, not read: the files stay readable after the folder is gone, and cost no memory
    files = [folder / f"output{index}.npy" for index in range(count)]
    return [np.asarray(np.load(file, mmap_mode="r")) for file in files]


def _prepare(job: ToolkitJob, folder: Path, limits: Limits) -> None:
    (folder / LOG).write_bytes(b"")  # there even when a warm child is dead already
    for file in (folder / "result.json", folder / _RKNN, *folder.glob("output*.npy")):
        file.unlink(missing_ok=True)
    orders = {**asdict(job), "memory_limit": int(limits.memory_gb * (1 << 30))}
    (folder / "job.json").write_text(json.dumps(orders), encoding="utf-8")


def _read_result(folder: Path) -> Mapping[str, Any]:
    file = folder / "result.json"
    if not file.is_file():
        return {}
    result: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return result
