"""One row: a model made by a method, run on the test samples and scored."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..quantizations.methods import Cell, Method
from ..quantizations.quantizing import Cost, QuantizeSetup, quantized, watched
from ..quantizations.running import (
    Run,
    fixed_model,
    reference,
    run_quantized,
    run_toolkit,
)
from ..quantizations.samples import SampleSet
from .methods import CHIP, FLOAT, PRUNE, PRUNED
from .rows import Row
from .scoring import Outputs, sqnr_db
from .subjects import Subject

Array = NDArray[Any]
_KEPT = 300  # letters of an error


def measure(subject: Subject, method: Method, place: str, setup: QuantizeSetup) -> Row:
    """Return the row, with an error where a step fails."""
    file = fixed_model(subject.name, setup.work)
    test = subject.samples("test", subject.test, setup.work)
    subject.samples("calib", subject.calib, setup.work)
    row = Row(subject.name, method.name, place, subject.calib, subject.test)
    expected = np.asarray(reference(subject.name, file, test, setup.work))
    cell = Cell(subject.name, method, place, subject.calib, subject.test)
    with tempfile.TemporaryDirectory(prefix="retention-") as name:
        if method.name == FLOAT:
            return _float_row(row, subject, file, test, expected, setup, Path(name))
        run, seconds = _run(cell, file, setup, Path(name))
    row = replace(row, seconds=seconds, size=run.size, ms=run.ms, way=run.route or "")
    if run.outputs is None or run.error:
        return replace(row, error=" ".join(run.error.split())[-_KEPT:] or "no outputs")
    return _scored(row, subject, file, test, expected, run.outputs)


def _float_row(
    row: Row,
    subject: Subject,
    file: Path,
    test: SampleSet,
    expected: Array,
    setup: QuantizeSetup,
    folder: Path,
) -> Row:
    """Return the float model's metric in ONNX Runtime, time and size of its float16 build."""
    subject.samples("test", 1, setup.work)
    cell = Cell(subject.name, Method(FLOAT, "toolkit", (CHIP,)), CHIP, subject.calib, 1)
    run = run_toolkit(cell, file, setup, folder)
    names = {source: index for index, source in enumerate(dict.fromkeys(test.sources))}
    sources = tuple(names[source] for source in test.sources)
    row = replace(row, size=run.size, ms=run.ms, sources=sources)
    row = replace(row, seconds=run.cost.seconds if run.cost else 0)
    return _scored(row, subject, file, test, expected, expected)


def _run(cell: Cell, file: Path, setup: QuantizeSetup, folder: Path) -> tuple[Run, float]:
    """Return what the method's model gives, and the seconds of making it."""
    if cell.method.tool == "toolkit":
        run = run_toolkit(cell, file, setup, folder)
        return run, run.cost.seconds if run.cost else 0
    pruning = 0.0
    if cell.method.name == PRUNED:
        file, cost, error = _pruned(cell, file, setup)
        if error:
            return Run(None, error), cost.seconds
        pruning = cost.seconds
    quantization = quantized(cell.model, file, cell.method, cell.calib, setup)
    seconds = pruning + quantization.cost.seconds
    if quantization.error:
        return Run(None, quantization.error), seconds
    run = run_quantized(cell, file, quantization, setup, folder)
    return run, seconds + run.build_seconds


def _pruned(cell: Cell, file: Path, setup: QuantizeSetup) -> tuple[Path, Cost, str]:
    """Return the pruned float model, made once, what that took, and an error."""
    path = (setup.work / "pruned" / f"{cell.model}-{cell.calib}.onnx").resolve()
    note = path.with_suffix(".json")
    if not note.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        listing = setup.work / "samples" / f"{cell.model}-calib-{cell.calib}" / "dataset.txt"
        options = ["--prune", PRUNE, "--calib", str(listing.resolve()), "--family", "off"]
        command = [sys.executable, "-m", "rockpress", "prune", str(file), "-o", str(path)]
        with tempfile.TemporaryDirectory(prefix="retention-") as name:
            cost = watched([*command, *options], Path(name), setup.timeout)
            log = (Path(name) / "log.txt").read_text(errors="replace")
        error = "" if path.is_file() else f"exit {cost.code}: {log[-_KEPT:]}"
        note.write_text(json.dumps({"cost": vars(cost), "error": error}))
    noted = json.loads(note.read_text())
    return path, Cost(**noted["cost"]), noted["error"]


def _scored(
    row: Row, subject: Subject, file: Path, test: SampleSet, expected: Array, outputs: Array
) -> Row:
    first, second = _parted(file, test, expected), _parted(file, test, outputs)
    parts = subject.score(file, second, first, test.texts)
    right, of = (tuple(float(value) for value in column) for column in parts.T)
    ratio = None if row.method == FLOAT else sqnr_db(first, second)
    return replace(row, right=right, of=of, sqnr_db=ratio)


def _parted(file: Path, test: SampleSet, outputs: Array) -> Outputs:
    """Return the model's outputs apart, each in its shape, from rows with all of them."""
    shapes = _shapes(file, test)
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    columns = np.split(np.asarray(outputs), ends, axis=1)
    return [
        column.reshape(len(column), *shape[1:])
        for column, shape in zip(columns, shapes, strict=True)
    ]


def _shapes(file: Path, test: SampleSet) -> list[tuple[int, ...]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    sample = np.asarray(np.load(test.together, mmap_mode="r")[0])
    return [output.shape for output in session.run(None, {session.get_inputs()[0].name: sample})]
