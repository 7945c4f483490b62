"""What ``rockpress prune`` calls: one model pruned to a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ..accuracy.compare import Comparison
from ..calibration_data.samples import Samples
from ..core.files import staging
from ..core.progress import SILENT, Progress
from ..core.scratch import scratch_folder
from ..prune.results.prune_result import PruneResult
from .filled_recipe import fill_recipe
from .output_files import require_output
from .recipes.recipe import Recipe
from .requirements import pruning_target
from .samples.input_sets import require_one_shape
from .samples.ready_model import ReadyModel, logits_at_end, open_calibrated
from .tasks.distilling import distil_pruned, distil_task, distillation_warnings
from .tasks.first_look import first_look, require_finite
from .tasks.pruning import Pruning, prune_task, pruning_warnings
from .tasks.pruning_options import distils


@dataclass(frozen=True)
class Pruned:
    """A pruned file, and how close its outputs stay to the original's."""

    result: PruneResult
    comparison: Comparison


def prune_file(recipe: Recipe, output: Path, progress: Progress = SILENT) -> Pruned:
    """Prune ``recipe.model`` to its budget and write ``output``. Raises RockpressError."""
    require_one_shape(recipe.shape, "prune")
    recipe = fill_recipe(recipe, "prune", progress).recipe
    target = pruning_target(recipe)
    require_output(output, ".onnx", recipe.model)
    ready, calib, _ = open_calibrated(recipe, "pruning", progress)
    progress.stage("prune")
    for warning in pruning_warnings(calib):
        progress.warn(warning)
    logits = logits_at_end(ready, recipe.shape)
    pruning = Pruning(prune_task(ready.model, calib, recipe, target, logits), progress)
    with staging(output.parent) as folder:
        staged = folder / output.name
        if distils(recipe.prune):
            result = _distilled(pruning, ready, calib, recipe, staged, progress)
            result, comparison = pruning.looked_at(result, staged)
        else:
            result, comparison = pruning.write(staged)
        require_finite(comparison)
        if result.unseen is not None:  # what was compared is another model than what is written
            first_look(ready.model, staged, calib, recipe.run.seed)
    return Pruned(replace(result, path=output), comparison)


def _distilled(
    pruning: Pruning,
    ready: ReadyModel,
    calib: Samples,
    recipe: Recipe,
    output: Path,
    progress: Progress,
) -> PruneResult:
    with scratch_folder() as work:
        pruned = work / output.name
        result, _ = pruning.write(pruned)
        progress.stage("distill")
        task = distil_task(ready.model, pruned, calib, recipe)
        distillation = distil_pruned(task, output, recipe.cache, progress)
    for warning in distillation_warnings(distillation):
        progress.warn(warning)
    return replace(result, path=output, distillation=distillation)
