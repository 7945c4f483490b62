"""Quantize a float model, convert and simulate it: ``python simulate_child.py JOB.json``.

``result.json`` says what came of it, ``output0.npy`` holds the simulator's outputs.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any


def main() -> None:
    """Do the job."""
    from rockpress.core.errors import RockpressError

    job = json.loads(Path(sys.argv[1]).read_text())
    result: dict[str, Any] = {"error": "", "cycles": 0, "size": 0}
    try:
        _simulate(job, result)
    except RockpressError as error:
        result["error"] = f"{type(error).__name__}: {error.message}"
    Path("result.json").write_text(json.dumps(result))


def _simulate(job: dict[str, Any], result: dict[str, Any]) -> None:
    import numpy as np

    from rockpress.calibration_data.preprocessing import Preprocessing
    from rockpress.convert.chips.targets import find_target
    from rockpress.convert.convert import convert
    from rockpress.core.graphs.model import save_model
    from rockpress.core.progress import SILENT
    from rockpress.pipeline.recipes.recipe import make_recipe
    from rockpress.pipeline.samples.ready_model import ready_model
    from rockpress.pipeline.tasks.converting import NpuFeeds, conversion_request
    from rockpress.pipeline.tasks.plan_handover import ranges_of
    from rockpress.pipeline.tasks.quantizing import quantize_step

    recipe = make_recipe(Path(job["model"]), timeout=job["timeout"])
    ready = ready_model(recipe.model)
    save_model(ready.model, Path("float.onnx"))
    calib = ready.samples(Path(job["dataset"]), Preprocessing(), job["calib"])
    quantized = quantize_step(
        ready.model,
        Path("quantized.onnx"),
        Path("quantized.plan.toml"),
        calib,
        SILENT,
        method=job["method"],
    )
    target, output = find_target(job["target"]), Path("model.rknn")
    request = replace(
        conversion_request(recipe.toolkit, quantized.path, output, target, None),
        calibration=NpuFeeds(calib),
        simulate=NpuFeeds(ready.samples(Path(job["test"]), Preprocessing(), job["count"])),
        float_model=Path("float.onnx"),
        plan=ranges_of(quantized.plan, ready.model),
    )
    conversion = convert(request)
    result["cycles"], result["size"] = conversion.cycles, conversion.bytes
    for index, values in enumerate(conversion.outputs or []):
        np.save(f"output{index}.npy", np.asarray(values, np.float32).reshape(len(values), -1))


if __name__ == "__main__":
    main()
