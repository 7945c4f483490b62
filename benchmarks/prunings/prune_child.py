"""Prune one model in one way to several shares: ``python prune_child.py JOB.json``.

The model is judged once. Every share makes a model and, when it is written, a note beside it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Do the job."""
    from rockpress.calibration_data.preprocessing import Preprocessing
    from rockpress.convert.chips.targets import find_target
    from rockpress.core.errors import OptionError
    from rockpress.core.progress import SILENT
    from rockpress.pipeline.recipes.recipe import make_recipe
    from rockpress.pipeline.samples.ready_model import ready_model
    from rockpress.pipeline.tasks.distilling import distil_pruned, distil_task, split_for_pruning
    from rockpress.pipeline.tasks.pruning import cost_of
    from rockpress.prune.prune import PruneMethod, Pruner
    from rockpress.prune.results.budget import Budget

    job: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    started = time.process_time()
    ready = ready_model(Path(job["model"]))
    cost = cost_of(Budget(job["budget"], 0.5), find_target(job["target"]), "int8")
    calib = ready.samples(Path(job["dataset"]), Preprocessing(), job["calib"])
    criterion, allocation, recover = job["method"]
    recipe = make_recipe(Path(job["model"]), recover=recover, recover_time=job["seconds"])
    samples, _ = split_for_pruning(calib, recipe.prune, recipe.run.seed)
    repair = "least-squares" if recover == "distill" else recover
    method = PruneMethod(criterion, allocation, repair)
    pruner = Pruner(ready.model, _ordered(samples, job["order"]), cost=cost, method=method)
    judged = time.process_time() - started
    for share, output in job["outputs"]:
        started, path = time.process_time(), Path(output)
        note: dict[str, Any] = {"error": "", "judged": judged}
        try:
            part = path.with_suffix(".part")
            result = pruner.prune(Budget(job["budget"], share), part)
            if recover == "distill":
                distillation = distil_pruned(
                    distil_task(ready.model, part, calib, recipe), part, None, SILENT
                )
                print(share, distillation, flush=True)
            part.rename(path)
            note |= {
                "cut": time.process_time() - started,
                "predicted": result.cost_after / result.cost_before,
                "macs": result.macs_after / result.macs_before,
                "parameters": result.parameters_after / result.parameters_before,
                "times": _times(ready.model, path, job["chips"]),
                "plans": _plans(result.choice),
            }
        except OptionError as error:
            note["error"] = error.message
        path.with_suffix(".json").write_text(json.dumps(note))


def _ordered(samples: Any, seed: int) -> Any:
    """Return the samples in an order drawn by the seed, with 0 as they are."""
    import numpy as np

    if not seed:
        return samples
    listed = list(samples)
    return [listed[index] for index in np.random.default_rng(seed).permutation(len(listed))]


def _times(whole: Any, small: Path, chips: list[str]) -> dict[str, float]:
    """Return chip -> predicted milliseconds in int8 over those of the unpruned model."""
    from rockpress.convert.chips.targets import find_target
    from rockpress.core.graphs.model import load_model
    from rockpress.pipeline.tasks.predicted_time import predicted_ms

    timers = {chip: predicted_ms(find_target(chip), "int8") for chip in chips}
    return {chip: ms(load_model(small)) / ms(whole) for chip, ms in timers.items()}


def _plans(choice: Any) -> dict[str, float]:
    """Return what each plan came to, that which was kept first."""
    return {} if choice is None else {choice.plan: choice.values[choice.plan], **choice.values}


if __name__ == "__main__":
    main()
