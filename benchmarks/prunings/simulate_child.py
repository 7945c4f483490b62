"""Quantize a float model, convert and simulate it: ``python simulate_child.py JOB.json``.

``result.json`` says what came of it, ``output0.npy`` holds the simulator's outputs.
"""

from __future__ import annotations

import json
import sys
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

    from rockpress.convert.chips.targets import find_target
    from rockpress.core.graphs.model import save_model
    from rockpress.pipeline.recipes.recipe import Preprocessing, Recipe
    from rockpress.pipeline.samples.ready_model import ready_model
    from rockpress.pipeline.stages.converting import convert_step
    from rockpress.pipeline.stages.plan_handover import ranges_of
    from rockpress.pipeline.stages.quantizing import quantize_step

    recipe = Recipe(Path(job["model"]), timeout=job["timeout"])
    ready = ready_model(recipe.model)
    save_model(ready.model, Path("float.onnx"))
    calib = ready.samples(Path(job["dataset"]), Preprocessing(), job["calib"])
    quantized = quantize_step(
        ready.model,
        Path("quantized.onnx"),
        Path("quantized.plan.toml"),
        calib,
        lambda activity, done, total: None,
        method=job["method"],
    )
    conversion = convert_step(
        quantized.path,
        Path("model.rknn"),
        find_target(job["target"]),
        recipe,
        how=None,
        calib=calib,
        simulate=ready.samples(Path(job["test"]), Preprocessing(), job["count"]),
        float_model=Path("float.onnx"),
        plan=ranges_of(quantized.plan, ready.model),
    )
    result["cycles"], result["size"] = conversion.cycles, conversion.bytes
    for index, output in enumerate(conversion.outputs or []):
        np.save(f"output{index}.npy", np.asarray(output, np.float32).reshape(len(output), -1))


if __name__ == "__main__":
    main()
