"""How long ``check`` takes beside a bare ONNX Runtime loop, and how much memory for more samples.

The demo model and its int8 form are compared on Fashion-MNIST test images. The loop does nothing
but run both sessions on inputs that lie ready. Both take turns in one process, so that a machine
that slows down slows both; the ratio is that of the medians. Peak memory is that of a process of
its own for each number of samples.

    python benchmarks/check.py                 (the bundled 1000 images, ten times)
    python benchmarks/check.py --data FOLDER   (of the idx files of dataset-fashion-mnist)
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rockpress.calibration_data.bundled import (
    CALIBRATION,
    DEMO_PREPROCESS,
    MODEL,
    TEST,
    sample_path,
)
from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.core.session import Session
from rockpress.pipeline.check import check
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import Recipe, make_recipe

PROMISED = 2.0  # times the loop
FEW, MANY = 1_000, 10_000
HOW = Preprocessing(mean=DEMO_PREPROCESS.mean, std=DEMO_PREPROCESS.std)


def images_and_labels(data: Path | None) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return MANY images (N, 28, 28) and labels (N,)."""
    if data is not None:
        sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
        from build_sample_set import load_split  # type: ignore[import-not-found]

        images, labels = load_split(data, "t10k")
        return images[:MANY], labels[:MANY]
    bundled = np.load(sample_path(TEST))
    return np.tile(bundled["images"], (10, 1, 1)), np.tile(bundled["labels"], 10)


def recipe_for(samples: Path, count: int | None = None) -> Recipe:
    """Return the recipe of the check."""
    return make_recipe(sample_path(MODEL), eval=samples, eval_count=count, preprocessing=HOW)


def quantized(folder: Path) -> Path:
    """Return the demo model in int8."""
    path = folder / "int8.onnx"
    calib = sample_path(CALIBRATION)
    recipe = make_recipe(sample_path(MODEL), calib=calib, method="min-max", preprocessing=HOW)
    quantize_file(recipe, path)
    return path


def loop_seconds(candidate: Path, inputs: NDArray[np.float32]) -> float:
    """Return the seconds to run both models on every input, and nothing else."""
    started = time.perf_counter()
    sessions = [Session(sample_path(MODEL)), Session(candidate, optimise=False)]
    for session in sessions:
        run: Any = session._session.run
        name = session.input_names[0]
        for value in inputs:
            run(None, {name: value})
    return time.perf_counter() - started


def check_seconds(candidate: Path, samples: Path) -> float:
    """Return the seconds of a whole check: samples read, both models, latency, comparison."""
    started = time.perf_counter()
    check(recipe_for(samples), candidate)
    return time.perf_counter() - started


def peak_megabytes(candidate: Path, samples: Path, count: int) -> float:
    """Return the peak memory of a process that checks so many of the samples."""
    words = [sys.executable, __file__, "--peak", str(count), str(candidate), str(samples)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Measure, or be the process that is measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of the idx files")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        count, candidate, samples = options.peak
        check(recipe_for(Path(samples), int(count)), Path(candidate))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), options.data, options.repetitions)


def compare(folder: Path, data: Path | None, repetitions: int) -> None:
    """Print the table. Exits with 1 when the promise is not kept."""
    images, labels = images_and_labels(data)
    samples = folder / "samples.npz"
    np.savez_compressed(samples, images=images, labels=labels)
    candidate = quantized(folder)
    inputs = DEMO_PREPROCESS.normalised(images[..., np.newaxis][0])
    scaled = (images[:, np.newaxis, np.newaxis].astype(np.float32) - HOW.mean[0]) / HOW.std[0]
    assert scaled.shape[1:] == inputs.shape
    seconds: dict[str, list[float]] = {"bare loop": [], "check": []}
    for _ in range(repetitions):
        seconds["bare loop"].append(loop_seconds(candidate, scaled.astype(np.float32)))
        seconds["check"].append(check_seconds(candidate, samples))
    loop, whole = (statistics.median(values) for values in seconds.values())
    for name, values in seconds.items():
        print(f"{name:10} {statistics.median(values):7.2f} s  ({len(images)} samples)")
    print(f"ratio      {whole / loop:7.2f}    (promised: at most {PROMISED:g})")
    for count in (FEW, MANY):
        print(f"peak of {count:6} samples {peak_megabytes(candidate, samples, count):7.1f} MB")
    if whole > PROMISED * loop:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
