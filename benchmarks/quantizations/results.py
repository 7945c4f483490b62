"""One result for each cell, kept in one JSON file that several runs may share."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ..results_file import add_document, read_documents
from .methods import Cell
from .quantizing import Cost, QuantizeSetup, quantized
from .running import Run, fixed_model, reference, run_onnxruntime, run_quantized, run_toolkit
from .samples import sample_set
from .scores import Scores, scored

_KEPT = 300  # letters of an error


@dataclass(frozen=True)
class Result:
    """A measured cell. ``cost`` is what quantizing took (with the toolkit: quantizing and
    building, which are one), ``build_seconds`` what it took from there to the .rknn. ``size`` in
    bytes is that of the .rknn or, in ONNX Runtime, of the QDQ model; ``way`` is how rockpress
    carried its plan to the .rknn, ``ms`` its estimated time. ``scores`` is None with an ``error``.
    """

    error: str
    cost: Cost
    size: int = 0
    cycles: int = 0
    ms: float = 0
    way: str = ""
    build_seconds: float = 0
    scores: Scores | None = None


Results = Mapping[str, Result]


def measure(cell: Cell, setup: QuantizeSetup) -> Result:
    """Quantize, run and score one cell."""
    file = fixed_model(cell.model, setup.work)
    with tempfile.TemporaryDirectory(prefix="quantization-") as name:
        folder = Path(name)
        if cell.method.tool == "toolkit":
            run = run_toolkit(cell, file, setup, folder)
            return _result(cell, file, run, run.cost, setup)
        if cell.method.tool == "float":
            outputs = run_onnxruntime(file, sample_set(cell.model, "test", cell.test, setup.work))
            nothing = Cost(0, 0.0, 0.0, 0.0)
            return _result(cell, file, Run(outputs, size=file.stat().st_size), nothing, setup)
        quantization = quantized(cell.model, file, cell.method, cell.calib, setup)
        if quantization.error:
            return Result(quantization.error, quantization.cost)
        return _result(
            cell,
            file,
            run_quantized(cell, file, quantization, setup, folder),
            quantization.cost,
            setup,
        )


def _result(cell: Cell, file: Path, run: Run, cost: Cost | None, setup: QuantizeSetup) -> Result:
    assert cost is not None
    test = sample_set(cell.model, "test", cell.test, setup.work)
    scores = None
    if run.outputs is not None and not run.error:
        expected = reference(cell.model, file, test, setup.work)
        scores = scored(cell.model, file, expected, run.outputs, test.texts)
    error = run.error[-_KEPT:]
    return Result(error, cost, run.size, run.cycles, run.ms, run.route, run.build_seconds, scores)


def read_results(file: Path) -> dict[str, Result]:
    """Return cell key -> result; empty without a file."""
    return {key: _read(document) for key, document in read_documents(file).items()}


def keep_result(file: Path, cell: Cell, result: Result) -> dict[str, Result]:
    """Add one result to the file, and return all that are in it."""
    add_document(file, cell.key, asdict(result))
    return read_results(file)


def _read(document: dict[str, object]) -> Result:
    cost, scores = document.pop("cost"), document.pop("scores")
    assert isinstance(cost, dict)
    known_scores = Scores(**scores) if isinstance(scores, dict) else None
    return Result(cost=Cost(**cost), scores=known_scores, **document)  # type: ignore[arg-type]
