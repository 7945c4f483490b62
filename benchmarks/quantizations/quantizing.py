"""A quantized ONNX model by rockpress or by a peer, made once, and what making it took."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .methods import Method
from .samples import SampleSet, sample_set

_HERE = Path(__file__).resolve().parent
_KEPT = 300  # letters of an error


@dataclass(frozen=True)
class Cost:
    """What a process took. ``code`` is its exit code, None when it was ended at the limit."""

    code: int | None
    seconds: float
    cpu_seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Quantized:
    """A quantized model (there only without an ``error``), and the cost of making it."""

    path: Path
    cost: Cost
    error: str


@dataclass(frozen=True)
class QuantizeSetup:
    """Where things are, and how long one may take: what every measurement needs to know."""

    work: Path
    peer: Path | None
    timeout: float


def watched(command: Sequence[str], folder: Path, limit: float) -> Cost:
    """Run a command in a folder, its output to log.txt there; ``limit`` is in seconds."""
    watcher = [sys.executable, "-I", "-S", str(_HERE / "watch.py"), "cost.json", str(limit)]
    with (folder / "log.txt").open("wb") as log:
        subprocess.run(
            [*watcher, *command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            check=True,
        )
    return Cost(**json.loads((folder / "cost.json").read_text()))


def quantized(
    model: str, file: Path, method: Method, calib: int, setup: QuantizeSetup
) -> Quantized:
    """Return the model as the method quantizes it, out of the folder or made now."""
    note = note_of(model, method, calib, setup.work).resolve()
    path = note.with_suffix(".onnx")
    if not note.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        samples = sample_set(model, "calib", calib, setup.work)
        cost, error = _quantize(file, method, samples, path, setup)
        note.write_text(json.dumps({"cost": asdict(cost), "error": error}))
    noted = json.loads(note.read_text())
    return Quantized(path, Cost(**noted["cost"]), noted["error"])


def note_of(model: str, method: Method, calib: int, work: Path) -> Path:
    """Return the file with the cost of quantizing; without it the model is quantized anew."""
    return work / "quantized" / f"{model}-{method.name}-{calib}.json"


def _quantize(
    file: Path, method: Method, samples: SampleSet, output: Path, setup: QuantizeSetup
) -> tuple[Cost, str]:
    with tempfile.TemporaryDirectory(prefix="quantization-") as name:
        folder = Path(name)
        command = _command(file, method, samples, output, setup, folder)
        cost = watched(command, folder, setup.timeout)
        log = (folder / "log.txt").read_text(errors="replace").strip()
    if cost.code is None:
        return cost, "timeout"
    failed = cost.code != 0 or not output.is_file()
    return cost, f"exit {cost.code}: {log[-_KEPT:]}" if failed else ""


def _command(
    file: Path, method: Method, samples: SampleSet, output: Path, setup: QuantizeSetup, folder: Path
) -> list[str]:
    listing = str(samples.listing.resolve())
    if method.is_rockpress:
        count = ["--calib-count", str(samples.count)]
        options = ["--calib", listing, *count, "-o", str(output), *method.arguments]
        return [sys.executable, "-m", "rockpress", "quantize", str(file), *options]
    assert setup.peer is not None
    job = {
        "tool": method.tool,
        "model": str(file),
        "input": _input_of(file),
        "dataset": listing,
        "count": samples.count,
        "output": str(output),
    }
    (folder / "job.json").write_text(json.dumps(job))
    return [str(setup.peer), str(_HERE / "peer_child.py"), "job.json"]


def _input_of(file: Path) -> str:
    import onnx

    name: str = onnx.load(file, load_external_data=False).graph.input[0].name
    return name
