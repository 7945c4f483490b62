"""What rockpress quantized, converted and simulated: ``python rockpress_child.py JOB.json``.

As ``rockpress run`` does it: the float model is there to fall back on. ``result.json`` says what
came of it, ``output0.npy`` holds the simulator's outputs.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any


def main() -> None:
    """Do the job."""
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
    from rockpress.core.graphs.model import load_model, save_model
    from rockpress.core.progress import Progress
    from rockpress.pipeline.recipes.recipe import make_recipe
    from rockpress.pipeline.samples.ready_model import ready_model
    from rockpress.pipeline.tasks.converting import NpuFeeds, conversion_request
    from rockpress.pipeline.tasks.plan_handover import is_hybrid, ranges_of
    from rockpress.quantize.integer.equalize import as_planned
    from rockpress.quantize.rendering.plan import read_plan

    recipe = make_recipe(Path(job["model"]), timeout=job["timeout"])
    ready = ready_model(recipe.model)
    built = [time.monotonic()] * 2  # when it began, and when the last build was done

    class Timing(Progress):
        def step(self, activity: str, done: int, total: int | None = None) -> None:
            if activity.startswith("simulator"):
                built[1] = time.monotonic()

    plan = read_plan(Path(job["quantized"]).with_suffix(".plan.toml"))
    exact = plan.scheme == "w8a8"
    floating = as_planned(ready.model, plan) if exact else load_model(Path(job["quantized"]))
    save_model(floating, Path("float.onnx"))
    hybrid = is_hybrid(plan)
    target, output = find_target(job["target"]), Path("model.rknn")
    request = replace(
        conversion_request(recipe.toolkit, Path(job["quantized"]), output, target, None),
        calibration=NpuFeeds(ready.samples(Path(job["dataset"]), Preprocessing())),
        simulate=NpuFeeds(ready.samples(Path(job["test"]), Preprocessing())),
        quantization="hybrid" if hybrid else "auto" if exact else "normal",
        dtype=None if exact else plan.scheme,
        float_model=Path("float.onnx") if exact else None,
        plan=ranges_of(plan, floating) if exact or hybrid else None,
    )
    conversion = convert(request, Timing())
    result["build_seconds"] = built[1] - built[0]
    result["cycles"] = conversion.cycles
    result["ms"] = (conversion.latency.ms if conversion.latency else None) or 0
    result["way"] = conversion.quantization
    for index, values in enumerate(conversion.outputs or []):
        np.save(f"output{index}.npy", np.asarray(values, np.float32).reshape(len(values), -1))


if __name__ == "__main__":
    main()
