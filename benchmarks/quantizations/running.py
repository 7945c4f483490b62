"""The outputs of the float model, of a quantized one in ONNX Runtime, and of the simulator."""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..conversions.models import MODELS
from ..conversions.more_models import MORE
from ..conversions.packages import model_file
from .detector import DETECTOR, ended_at_raw_heads
from .methods import YOLO, Cell
from .quantizing import Cost, Quantized, QuantizeSetup, watched
from .samples import SampleSet, sample_set

Array = NDArray[Any]

_DESCRIBED = {described.name: described for described in (*MODELS, *MORE, DETECTOR)}
_HERE = Path(__file__).resolve().parent
_CHILD = _HERE.parent.parent / "convert" / "toolkit" / "child.py"
_ANSI = re.compile(r"\x1b\[[\d;]*m")


@dataclass
class Run:
    """What came of a build and of the run of all test samples.

    ``found`` has a row of outputs for each sample; None with an ``error``. ``cost`` is what the
    toolkit's own quantizer took, ``build_seconds`` the making of the .rknn out of a QDQ model.
    """

    outputs: Array | None
    error: str = ""
    size: int = 0
    cycles: int = 0
    ms: float = 0
    route: str = ""
    build_seconds: float = 0
    cost: Cost | None = None


def fixed_model(name: str, work: Path) -> Path:
    """Return the ONNX file with its input fixed to the benchmark's shape, for every tool."""
    import onnx

    path = (work / "fixed" / f"{name}.onnx").resolve()
    if not path.is_file():
        described = _DESCRIBED[name]
        model = onnx.load(model_file(described, work))
        shape = model.graph.input[0].type.tensor_type.shape
        for dim, size in zip(shape.dim, described.inputs[0].shape, strict=True):
            dim.dim_value = size
        if name == YOLO:
            model = ended_at_raw_heads(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, path)
    return path


def reference(model: str, file: Path, samples: SampleSet, work: Path) -> Array:
    """Return the float model's outputs (samples, elements), kept below ``work`` and mapped."""
    path = work / "reference" / f"{model}-{samples.count}.npy"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, run_onnxruntime(file, samples))
    outputs: Array = np.load(path, mmap_mode="r")
    return outputs


def run_onnxruntime(file: Path, samples: SampleSet) -> Array:
    """Return the outputs (samples, elements), computed as the graph says: no optimisations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3  # the models declare outputs of another shape than they give
    session = onnxruntime.InferenceSession(str(file), options, ["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    inputs = np.load(samples.together, mmap_mode="r")
    runs = (session.run(None, {name: np.asarray(value)}) for value in inputs)
    return np.stack([np.concatenate([output.ravel() for output in run]) for run in runs])


def run_quantized(
    cell: Cell, file: Path, quantized: Quantized, setup: QuantizeSetup, folder: Path
) -> Run:
    """Return a QDQ model in ONNX Runtime, or converted by rockpress and simulated."""
    test = sample_set(cell.model, "test", cell.test, setup.work)
    size = quantized.path.stat().st_size
    if cell.runtime == "onnxruntime":
        return _tried(quantized.path, test, size)
    calib = sample_set(cell.model, "calib", cell.calib, setup.work)
    job = {
        "model": str(file),
        "quantized": str(quantized.path),
        "target": cell.runtime,
        "dataset": str(calib.listing.resolve()),
        "test": str(test.listing.resolve()),
        "timeout": setup.timeout,
    }
    _, result = _child("rockpress_child.py", job, setup.timeout, folder)
    run = _collected(result, folder)
    run.cycles, run.ms, run.route = (result.get(key, 0) for key in ("cycles", "ms", "way"))
    run.build_seconds = result.get("build_seconds", 0)
    return run


def _tried(file: Path, samples: SampleSet, size: int) -> Run:
    """Return outputs or the error: a peer's model may be one that ONNX Runtime refuses."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    refusals = (state.Fail, state.InvalidArgument, state.InvalidGraph, state.NotImplemented)
    try:
        return Run(run_onnxruntime(file, samples), size=size)
    except (*refusals, state.RuntimeException) as error:
        return Run(None, str(error), size)


def run_toolkit(cell: Cell, file: Path, setup: QuantizeSetup, folder: Path) -> Run:
    """Return the float model, quantized by the toolkit and simulated."""
    from rockpress.convert.chips.compiler_log import parse_layers
    from rockpress.convert.chips.targets import find_target
    from rockpress.convert.latency.estimate import estimate

    test = sample_set(cell.model, "test", cell.test, setup.work)
    calib = sample_set(cell.model, "calib", cell.calib, setup.work)
    job = {
        "model": str(file),
        "target": cell.runtime,
        "arguments": cell.method.arguments,
        "dataset": str(calib.listing.resolve()),
        "samples": [str(test.together.resolve())],
        "child": str(_CHILD),
        "started": time.time(),
    }
    whole, result = _child("toolkit_child.py", job, setup.timeout, folder)
    log = _ANSI.sub("", (folder / "log.txt").read_text(errors="replace").replace("\r", "\n"))
    run = _collected(result, folder)
    if run.size and (latency := estimate(parse_layers(log), find_target(cell.runtime))) is not None:
        run.cycles, run.ms = latency.cycles, latency.ms or 0
    run.cost = Cost(whole.code, **result["cost"]) if "cost" in result else whole
    return run


def _child(
    program: str, job: dict[str, Any], limit: float, folder: Path
) -> tuple[Cost, dict[str, Any]]:
    (folder / "job.json").write_text(json.dumps(job))
    cost = watched([sys.executable, str(_HERE / program), "job.json"], folder, limit)
    file = folder / "result.json"
    if file.is_file():
        result: dict[str, Any] = json.loads(file.read_text())
        return cost, result
    error = "timeout" if cost.code is None else f"exit {cost.code}"
    return cost, {"error": error}


def _collected(result: dict[str, Any], folder: Path) -> Run:
    """Return what a child left behind, its outputs side by side."""
    rknn, files = folder / "model.rknn", sorted(folder.glob("output*.npy"))
    size = rknn.stat().st_size if rknn.is_file() else 0
    values = [np.load(file, mmap_mode="r") for file in files]
    flat = [value.reshape(len(value), -1) for value in values]
    return Run(np.concatenate(flat, 1) if flat else None, str(result["error"]), size)
