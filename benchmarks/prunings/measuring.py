"""One point of a curve: prune (all shares of a method at once), run, score."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..quantizations.quantizing import watched
from ..quantizations.running import fixed_model, reference, run_onnxruntime
from .methods import DEMO, LITE0, LITE1, METHODS, ORIENTATION, ORT, WHOLE, Cell
from .samples import labels_of, sample_set
from .scores import by_source, points, scored

Array = NDArray[Any]

_HERE = Path(__file__).resolve().parent
_OF_CLASSES = (LITE0, LITE1, ORIENTATION)  # whose agreement on all samples is told


@dataclass(frozen=True)
class Result:
    """A measured point. Ratios are against the unpruned model; ``predicted`` cycles are the closed
    form's, ``cycles`` and ``size`` (bytes of the .rknn) the compiler's, 0 where nothing was built.
    ``judged`` and ``cut`` are CPU seconds. ``score`` is None with an ``error``. ``points`` has, for
    each source of samples, the sum of what they are worth and their number. ``agreement`` is the
    share of all samples with the float model's first class, 0 where a score is of something else.
    ``divergence`` is that of the outputs, as the search has it; ``times`` has for some chips the
    predicted time over the unpruned model's; ``plans`` what each plan that was tried came to on
    held-out samples, that which was kept first.
    """

    error: str
    score: float | None = None
    predicted: float = 1.0
    macs: float = 1.0
    parameters: float = 1.0
    cycles: int = 0
    size: int = 0
    judged: float = 0.0
    cut: float = 0.0
    points: Mapping[str, Sequence[float]] = field(default_factory=dict)
    agreement: float = 0.0
    divergence: float = 0.0
    times: Mapping[str, float] = field(default_factory=dict)
    plans: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PruneSetup:
    """Where things are, how long one may take, how the models are quantized, how long trained.

    For ``chips`` the time of what is pruned is predicted.
    """

    work: Path
    timeout: float
    method: str
    seconds: float = 600
    chips: tuple[str, ...] = ()


def model_of(name: str, work: Path) -> Path:
    """Return the unpruned ONNX file with its fixed input."""
    if name != DEMO:
        return fixed_model(name, work)
    from rockpress.calibration_data.bundled import MODEL, sample_path

    return sample_path(MODEL)


def measure(cell: Cell, shares: Sequence[float], setup: PruneSetup) -> Result:
    """Prune to all ``shares`` if that is not done yet, run and score one of them."""
    file, note = model_of(cell.model, setup.work), {"error": ""}
    whole = file
    if cell.method != WHOLE:
        file = _pruned(cell, cell.share, setup.work)
        if not file.with_suffix(".json").is_file():
            _prune(cell, shares, setup)
        if not file.with_suffix(".json").is_file():
            return Result("pruning failed")
        note = json.loads(file.with_suffix(".json").read_text())
        if note["error"]:
            return Result(str(note["error"]))
    test = sample_set(cell.model, "test", cell.test, setup.work)
    outputs, built = _run(cell, file, setup)
    if outputs is None:
        return Result(str(built["error"])[-300:])
    expected = reference(cell.model, whole, test, setup.work)
    labels = labels_of(cell.model, test)
    compared = (cell.model, whole, expected, outputs, labels, test.texts)
    worth = by_source(points(*compared), test.sources)
    numbers = {name: value for name, value in note.items() if name != "error"}
    figures = {**numbers, "cycles": built["cycles"], "size": built["size"], "points": worth}
    if cell.model in _OF_CLASSES:
        figures["agreement"] = float((expected.argmax(1) == outputs.argmax(1)).mean())
    if cell.method != WHOLE:
        from rockpress.prune.search.divergence import divergence

        figures["divergence"] = divergence([expected], [outputs])
    return Result("", scored(*compared), **figures)


def _pruned(cell: Cell, share: float, work: Path) -> Path:
    parts = (cell.model, cell.method, f"{share:g}", str(cell.calib), cell.cut)
    name = "-".join(part for part in parts if part)
    return (work / "pruned" / f"{name}.onnx").resolve()


def _prune(cell: Cell, shares: Sequence[float], setup: PruneSetup) -> None:
    outputs = [(share, str(_pruned(cell, share, setup.work))) for share in shares]
    missing = [output for output in outputs if not Path(output[1]).with_suffix(".json").is_file()]
    method = next(output for output in METHODS if output.name == cell.method)
    job = {
        "model": str(model_of(cell.model, setup.work)),
        "method": [method.criterion, method.allocation, method.recover],
        "seconds": setup.seconds,
        "target": cell.chip,
        "budget": cell.budget,
        "order": cell.order,
        "chips": setup.chips,
        "dataset": _listing(cell.model, "calib", cell.calib, setup.work),
        "calib": cell.calib,
        "outputs": missing,
    }
    _pruned(cell, 0, setup.work).parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pruning-") as name:
        _child("prune_child.py", job, Path(name), setup.timeout)


def _run(cell: Cell, file: Path, setup: PruneSetup) -> tuple[Array | None, dict[str, Any]]:
    """Return outputs (samples, elements) and what the build says."""
    built: dict[str, Any] = {"error": "", "cycles": 0, "size": 0}
    if cell.runtime == ORT:
        return run_onnxruntime(file, sample_set(cell.model, "test", cell.test, setup.work)), built
    job = {
        "model": str(file),
        "target": cell.runtime,
        "method": setup.method,
        "dataset": _listing(cell.model, "calib", cell.calib, setup.work),
        "calib": cell.calib,
        "test": _listing(cell.model, "test", cell.test, setup.work),
        "count": cell.test,
        "timeout": setup.timeout,
    }
    with tempfile.TemporaryDirectory(prefix="pruning-") as name:
        folder = Path(name)
        log = _child("simulate_child.py", job, folder, setup.timeout)
        if (folder / "result.json").is_file():
            built = json.loads((folder / "result.json").read_text())
        else:
            built["error"] = log[-300:] or "timeout"
        outputs = folder / "output0.npy"
        return (np.load(outputs) if outputs.is_file() else None), built


def _listing(model: str, role: str, count: int, work: Path) -> str:
    return str(sample_set(model, role, count, work).listing.resolve())


def _child(program: str, job: dict[str, Any], folder: Path, limit: float) -> str:
    """Run a program on a job in a folder; its output."""
    (folder / "job.json").write_text(json.dumps(job))
    watched([sys.executable, str(_HERE / program), "job.json"], folder, limit)
    return (folder / "log.txt").read_text(errors="replace").strip()
