"""Does another runtime compute what a quantized model says? OpenVINO against ONNX Runtime.

    python -m venv ov && ov/bin/pip install openvino==2024.6.0
    python benchmarks/runtimes.py --openvino-python ov/bin/python [MODEL --calib SAMPLES]

The model, by default the bundled one, is quantized to int8 as it is and with --symmetric. For both
a table shows the SQNR in dB of each runtime against the float model, and of one runtime against the
other, on the last 50 samples. OpenVINO runs in an environment of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rockpress.calibration_data.bundled import CALIBRATION, DEMO_PREPROCESS, MODEL, sample_path
from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.core.session import Session
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import Recipe, make_recipe
from rockpress.pipeline.samples.ready_model import ready_model

Array = NDArray[Any]

_FORMS = ("as it is", "--symmetric")
_CALIBRATED, _SAMPLES = 128, 50
_CHILD = """
import json, sys
import numpy as np
import openvino
job = json.loads(sys.argv[1])
core = openvino.Core()
# the optimised kernels may add up in bfloat16, where the processor has it
compiled = core.compile_model(job["model"], "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
found = [compiled([one[None]])[0] for one in np.load(job["inputs"])]
np.save(job["outputs"], np.stack(found).reshape(len(found), -1))
print(openvino.__version__)
"""


def main() -> None:
    """Print the table."""
    options = _arguments()
    with tempfile.TemporaryDirectory(prefix="runtimes-") as name:
        folder = Path(name)
        recipe = _recipe(options)
        inputs = _inputs(recipe, folder)
        plain = _onnxruntime(options.model, inputs, optimise=True)
        print("| form | ONNX Runtime, dB | OpenVINO, dB | one against the other, dB |")
        print("|---|---|---|---|")
        for form in _FORMS:
            model = folder / "quantized.onnx"
            quantize_file(recipe.with_options(symmetric=form == "--symmetric"), model)
            ours = _onnxruntime(model, inputs, optimise=False)
            theirs = _openvino(options.openvino_python, model, folder)
            figures = (_db(plain, ours), _db(plain, theirs), _db(ours, theirs))
            print(f"| {form} | {' | '.join(f'{figure:.1f}' for figure in figures)} |")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="OpenVINO against ONNX Runtime, on a QDQ model")
    parser.add_argument("model", nargs="?", type=Path, default=sample_path(MODEL))
    parser.add_argument("--calib", type=Path, default=sample_path(CALIBRATION))
    parser.add_argument("--openvino-python", type=Path, required=True)
    parser.add_argument("--method", default="gptq")
    return parser.parse_args()


def _recipe(options: argparse.Namespace) -> Recipe:
    bundled = options.calib == sample_path(CALIBRATION)
    preprocessing = Preprocessing(mean=DEMO_PREPROCESS.mean, std=DEMO_PREPROCESS.std)
    return make_recipe(
        options.model,
        calib=options.calib,
        method=options.method,
        calib_count=_CALIBRATED,
        preprocessing=preprocessing if bundled else Preprocessing(),
    )


def _inputs(recipe: Recipe, folder: Path) -> Array:
    """Return the last samples, as the model takes them."""
    assert recipe.samples.calib is not None
    samples = ready_model(recipe.model).samples(recipe.samples.calib, recipe.preprocessing)
    taken = range(max(len(samples) - _SAMPLES, 0), len(samples))
    rows: Array = np.stack([next(iter(samples.feeds(index).values()))[0] for index in taken])
    np.save(folder / "inputs.npy", rows)
    return rows


def _onnxruntime(model: Path, inputs: Array, *, optimise: bool) -> Array:
    session = Session(model, optimise=optimise)
    name = session.input_names[0]
    return np.stack([session.run({name: value[None]})[0].ravel() for value in inputs])


def _openvino(python: Path, model: Path, folder: Path) -> Array:
    outputs = folder / "outputs.npy"
    job = {"model": str(model), "inputs": str(folder / "inputs.npy"), "outputs": str(outputs)}
    subprocess.run(
        [str(python), "-c", _CHILD, json.dumps(job)], check=True, stdout=subprocess.DEVNULL
    )
    values: Array = np.load(outputs)
    return values


def _db(reference: Array, other: Array) -> float:
    noise = np.square(reference.astype(np.float64) - other).sum()
    return float(10 * np.log10(np.square(reference.astype(np.float64)).sum() / noise))


if __name__ == "__main__":
    main()
