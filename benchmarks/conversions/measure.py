"""Run one conversion in a process of its own, and measure it: time, memory, result, exactness."""

from __future__ import annotations

import json
import math
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from .exactness import exactness
from .models import Model
from .samples import samples_of

Array = NDArray[Any]

TARGET = "rk3588"
CALIBRATION, EVALUATION = 8, 4  # samples
_HERE = Path(__file__).resolve().parent
_CHILD = _HERE.parent.parent / "convert" / "toolkit" / "child.py"
_PROGRAMS = {
    "plain": "plain.py",
    "rockpress": "ours.py",
    "prune": "pruned.py",
    "onnxruntime": "ort_static.py",
}
_OURS = ("rockpress", "prune")
_NEWEST_OPSET = 19  # that the toolkit reads
_POLL = 0.1  # seconds
_KEPT, _LONGEST = 20, 300  # warnings, and letters of one
_ANSI = re.compile(r"\x1b\[[\d;]*m")
_ENVIRONMENT = re.compile(r"(?<=\")/[^\"\n]*/site-packages/")  # where a traceback's files are here
_COMPLAINT = re.compile(r"^[WE] (?!RKNN: .*Unkown op target|rknn-toolkit2 version)", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    """One conversion: a model, float16 or int8, rockpress or the plain toolkit, its version.

    ``calibration`` and ``evaluation`` are numbers of samples, ``mixed`` is rockpress's budget for
    mixed precision.
    """

    model: str
    precision: str
    tool: str
    toolkit: str
    target: str = TARGET
    calibration: int = CALIBRATION
    evaluation: int = EVALUATION
    mixed: str = "auto"

    @property
    def key(self) -> str:
        """Return the name of the case in the file of results."""
        chip = () if self.target == TARGET else (self.target,)
        return "/".join((self.model, self.precision, self.tool, self.toolkit, *chip))


@dataclass
class Outcome:
    """What came of a case. ``sqnr_db`` is against the float model in ONNX Runtime, worst part."""

    status: str
    seconds: float
    cpu_seconds: float
    peak_mb: float
    size: int = 0
    cycles: int = 0
    sqnr_db: float | None = None
    way: str = ""
    error: str = ""
    warning_count: int = 0
    warnings: list[str] = field(default_factory=list)  # the first few

    @property
    def is_converted(self) -> bool:
        """Return whether there is a ``.rknn``."""
        return self.size > 0

    @property
    def is_nan(self) -> bool:
        """Return whether there is a ``.rknn`` that computes NaN, or outputs of other shapes."""
        return self.is_converted and self.sqnr_db is not None and math.isnan(self.sqnr_db)


def measure(case: Case, model: Model, file: Path, python: Path, limit: float) -> Outcome:
    """Convert and simulate; ``python`` has what the tool needs, ``limit`` is in seconds."""
    with tempfile.TemporaryDirectory(prefix="conversion-") as name:
        folder = Path(name)
        job = _job(case, model, file, python, limit, folder)
        (folder / "job.json").write_text(json.dumps(job))
        interpreter = Path(sys.executable) if case.tool in _OURS else python
        command = [str(interpreter), str(_HERE / _PROGRAMS[case.tool]), "job.json"]
        code, seconds, cpu, peak = _watched(command, folder, limit)
        result = _result(folder)
        rknn = folder / "model.rknn"
        outcome = Outcome(_status(code, result, rknn), seconds, cpu, peak)
        error = result.get("error", "") if result else _last_line(folder / "log.txt")
        outcome.error = _ENVIRONMENT.sub("", error)
        outcome.size = rknn.stat().st_size if rknn.is_file() else 0
        outcome.way = result.get("way", "")
        _add_compiler(outcome, result, folder / "log.txt")
        outcome.sqnr_db = exactness(model, file, folder, case.evaluation)
        return outcome


def _job(
    case: Case, model: Model, file: Path, python: Path, limit: float, folder: Path
) -> dict[str, Any]:
    calibration = samples_of(model, case.calibration, seed=1)
    evaluation = samples_of(model, case.evaluation, seed=2)
    for name, drawn in (("calib", calibration), ("eval", evaluation)):
        np.savez(folder / f"{name}.npz", **{key: drawn[key] for key in model.shapes})
    for position, described in enumerate(model.inputs):
        values = evaluation[described.name].reshape(-1, *described.shape)
        np.save(folder / f"eval{position}.npy", values)
    return {
        "model": str(_readable(file, folder) if case.tool == "plain" else file.resolve()),
        "target": case.target,
        "precision": case.precision,
        "mixed": case.mixed,
        "inputs": [described.name for described in model.inputs],
        "shapes": [list(described.shape) for described in model.inputs],
        "constants": model.constants,
        "dynamic": _is_dynamic(file),
        "dataset": _dataset(model, calibration, folder) if case.precision == "int8" else None,
        "samples": [f"eval{position}.npy" for position in range(len(model.inputs))],
        "calib": "calib.npz",
        "eval": "eval.npz",
        "python": str(python),
        "timeout": limit,
        "child": str(_CHILD),
    }


def _dataset(model: Model, samples: dict[str, Array], folder: Path) -> str:
    lines = []
    count = len(next(iter(samples.values())))
    for index in range(count):
        names = [f"calib{index}_{position}.npy" for position in range(len(model.inputs))]
        for name, described in zip(names, model.inputs, strict=True):
            np.save(folder / name, samples[described.name][index].reshape(described.shape))
        lines.append(" ".join(names))
    (folder / "dataset.txt").write_text("\n".join(lines) + "\n")
    return "dataset.txt"


def _readable(file: Path, folder: Path) -> Path:
    """Return a model of the newest opset that the toolkit reads, where onnx can convert to it."""
    import onnx
    from onnx import version_converter

    model = onnx.load(str(file))
    if max(entry.version for entry in model.opset_import if not entry.domain) <= _NEWEST_OPSET:
        return file.resolve()
    try:
        older = version_converter.convert_version(model, _NEWEST_OPSET)
    except (
        RuntimeError,
        version_converter.ConvertError,
    ):  # an operator that the older opset does not have
        return file.resolve()
    onnx.save(older, str(folder / "older.onnx"))
    return folder / "older.onnx"


def _is_dynamic(file: Path) -> bool:
    import onnx

    graph = onnx.load_model(str(file)).graph
    constants = {value.name for value in graph.initializer}
    dims = [
        dim
        for value in graph.input
        if value.name not in constants
        for dim in value.type.tensor_type.shape.dim
    ]
    return any(dim.dim_value <= 0 for dim in dims)


def _watched(
    command: list[str], folder: Path, limit: float
) -> tuple[int | None, float, float, float]:
    """Return exit code (None at the limit), seconds, CPU seconds, and peak memory in MB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start, peak = time.monotonic(), 0.0
    with (folder / "log.txt").open("wb") as log:
        process = psutil.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        while process.poll() is None and time.monotonic() - start < limit:
            peak = max(peak, _memory(process))
            time.sleep(_POLL)
        code = process.poll()
        _end(process)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return code, time.monotonic() - start, cpu, peak / 1e6


def _memory(process: psutil.Process) -> float:
    total = 0.0
    try:
        for member in (process, *process.children(recursive=True)):
            total += member.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


def _end(process: psutil.Popen) -> None:
    if process.poll() is None:
        for member in (*process.children(recursive=True), process):
            member.kill()
    process.wait()


def _result(folder: Path) -> dict[str, Any]:
    file = folder / "result.json"
    result: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    return result


def _status(code: int | None, result: dict[str, Any], rknn: Path) -> str:
    if code is None:
        return "timeout"
    if code < 0:
        return signal.Signals(-code).name
    if not result:
        return f"exit {code}"
    if not result["error"]:
        return "ok"
    if rknn.is_file():
        return "not simulated"
    kind = str(result["error"].partition(":")[0])
    return f"{kind} in {result['stage']}" if "stage" in result else kind


def _last_line(log: Path) -> str:
    """Return what a process that left no result said last, without the path of its own log."""
    lines = _ANSI.sub("", log.read_text(errors="replace")).splitlines()
    said = (line.strip() for line in reversed(lines) if not line.startswith("log: "))
    return next(filter(None, said), "")[-2000:]


def _add_compiler(outcome: Outcome, result: dict[str, Any], log: Path) -> None:
    """Add cycles and warnings: as rockpress gives them, or from the plain toolkit's log."""
    from rockpress.convert.chips.compiler_log import parse_layers

    if "warnings" in result:
        outcome.cycles = result["cycles"]
        _add_warnings(outcome, result["warnings"])
        return
    text = _ANSI.sub("", log.read_text(errors="replace").replace("\r", "\n"))
    if outcome.is_converted:
        outcome.cycles = sum(layer.total_cycles for layer in parse_layers(text))
    _add_warnings(outcome, [line for line in text.splitlines() if _COMPLAINT.match(line)])


def _add_warnings(outcome: Outcome, warnings: list[str]) -> None:
    """Count all warnings and store some: where NaN come up the toolkit prints a million lines."""
    outcome.warning_count = len(warnings)
    outcome.warnings = [text[:_LONGEST] for text in warnings[:_KEPT]]
