"""The same conversion by rockpress: ``python ours.py JOB.json``, what ``run`` does without reports.

float16: the model made ready and converted. int8: quantized by rockpress and converted, with the
float model to fall back on.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any


def main() -> None:
    """Do the job; ``result.json`` says what came of it."""
    job = json.loads(Path(sys.argv[1]).read_text())
    from rockpress.core.errors import RockpressError

    result: dict[str, Any] = {"error": ""}
    try:
        _convert(job, result)
    except RockpressError as error:
        result["error"] = f"{type(error).__name__}: {error.message}"
    Path("result.json").write_text(json.dumps(result))


def _convert(job: dict[str, Any], result: dict[str, Any]) -> None:
    import numpy as np

    from rockpress.calibration_data.preprocessing import Preprocessing
    from rockpress.convert.chips.targets import find_target
    from rockpress.convert.convert import convert
    from rockpress.core.graphs.model import save_model
    from rockpress.core.progress import SILENT
    from rockpress.pipeline.options.sample_options import ModelOptions
    from rockpress.pipeline.recipes.recipe import make_recipe
    from rockpress.pipeline.samples.ready_model import ready_model
    from rockpress.pipeline.tasks.converting import NpuFeeds, conversion_request
    from rockpress.pipeline.tasks.plan_handover import ranges_of
    from rockpress.pipeline.tasks.quantizing import quantize_as, quantize_task
    from rockpress.quantize.integer.equalize import as_planned

    shapes = dict(zip(job["inputs"], map(tuple, job["shapes"]), strict=True))
    constants = job["constants"]
    free = {name: shape for name, shape in shapes.items() if name not in constants}
    recipe = make_recipe(
        Path(job["model"]),
        toolkit_python=Path(job["python"]),
        timeout=job["timeout"],
        mixed=job["mixed"],
    )
    ready = ready_model(recipe.model, ModelOptions(input=free, constant=constants))
    floating = Path("float.onnx")
    save_model(ready.model, floating)
    calib = ready.samples(Path(job["calib"]), Preprocessing())
    target = find_target(job["target"])
    model, plan = floating, None
    if job["precision"] == "int8":
        model, path = Path("intended.onnx"), Path("plan.toml")
        task = quantize_task(ready.model, calib, recipe, target)
        quantized = quantize_as(task, model, path, SILENT)
        planned = as_planned(ready.model, quantized.plan)
        plan = ranges_of(quantized.plan, planned)
        save_model(planned, floating)
    request = replace(
        conversion_request(recipe.toolkit, model, Path("model.rknn"), target, None),
        calibration=NpuFeeds(calib) if model != floating else (),
        simulate=NpuFeeds(ready.samples(Path(job["eval"]), Preprocessing())),
        float_model=floating if model != floating else None,
        plan=plan,
    )
    conversion = convert(request)
    result["toolkit"] = conversion.toolkit
    result["cycles"] = conversion.cycles
    result["way"] = conversion.quantization
    result["warnings"] = [f"{warning.code}: {warning.text}" for warning in conversion.warnings]
    for index, values in enumerate(conversion.outputs or []):
        np.save(f"output{index}.npy", np.asarray(values, np.float32).reshape(len(values), -1))


if __name__ == "__main__":
    from rockpress.cli.handler import run

    sys.exit(run(main))  # 3, as the command's, for a bug
