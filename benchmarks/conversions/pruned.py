"""Prune a model by a fifth of its multiplications with rockpress: ``python pruned.py JOB.json``.

The outputs are those of the pruned model in ONNX Runtime.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

BUDGET = "macs=-20%"


def main() -> None:
    """Do the job; ``result.json`` says what came of it."""
    job = json.loads(Path(sys.argv[1]).read_text())
    from rockpress.core.errors import RockpressError

    result: dict[str, Any] = {"error": "", "cycles": 0, "warnings": []}
    try:
        _prune(job, result)
    except RockpressError as error:
        result["error"] = f"{type(error).__name__}: {error.message}"
    Path("result.json").write_text(json.dumps(result))


def _prune(job: dict[str, Any], result: dict[str, Any]) -> None:
    import numpy as np
    import onnxruntime

    from rockpress import make_recipe, prune_file

    shapes = dict(zip(job["inputs"], map(tuple, job["shapes"]), strict=True))
    recipe = make_recipe(Path(job["model"]), calib=Path(job["calib"]), input=shapes, prune=BUDGET)
    figures = prune_file(recipe, Path("pruned.onnx")).result
    result["way"] = f"{figures.macs_after / figures.macs_before - 1:.1%}"
    session = onnxruntime.InferenceSession("pruned.onnx", None, ["CPUExecutionProvider"])
    samples = np.load(job["eval"])
    rows = []
    for index in range(len(samples[job["inputs"][0]])):
        feeds = {name: samples[name][index].reshape(shapes[name]) for name in job["inputs"]}
        rows.append([output.ravel() for output in session.run(None, feeds)])
    for index, column in enumerate(zip(*rows, strict=True)):
        np.save(f"output{index}.npy", np.stack(column))


if __name__ == "__main__":
    from rockpress.cli.handler import run

    sys.exit(run(main))
