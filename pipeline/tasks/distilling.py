"""How a pruned model is distilled: on which samples, how long, and where it goes on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from onnx import ModelProto

from ...calibration_data.samples import Samples
from ...core.diagnostics import Diagnostic, option
from ...core.errors import OptionError
from ...core.graphs.model import save_model
from ...core.progress import Progress
from ...core.results.pruning_figures import Distillation
from ...core.scratch import scratch_folder
from ...core.training.schedule import Schedule
from ...core.training.stored_samples import TrainingSamples
from ...prune.distillation.distil import distil, require_distillable, require_recovering
from ..caching.stage_cache import Cache
from ..options.prune_options import DistilOptions, PruneOptions
from ..recipes.recipe import Recipe
from .training_checkpoint import training_checkpoint

_LEAST_HELD_OUT = 8
_MOST_HELD_OUT = 64
# with --max-drop half of the samples, as they are what its cuts are judged by
_SHARE = 4


@dataclass(frozen=True)
class DistilTask:
    """What distillation is given: ``pruned`` was made of ``model``, on these samples."""

    model: ModelProto
    pruned: Path
    calib: Samples
    pruning: PruneOptions
    options: DistilOptions
    seed: int
    torch: str  # the version


def distil_task(model: ModelProto, pruned: Path, calib: Samples, recipe: Recipe) -> DistilTask:
    """Return what a recipe asks of distillation. Raises PackageError without torch."""
    require_recovering()
    seed, torch = recipe.run.seed, version("torch")
    return DistilTask(model, pruned, calib, recipe.prune, recipe.distil, seed, torch)


def split_for_pruning(
    calib: Samples, options: PruneOptions, seed: int
) -> tuple[Samples, Samples | None]:
    """Return the samples to prune and train by, and those held out to judge by, if any are.

    Raises OptionError when there are too few.
    """
    if options.max_drop is not None:
        mention, share, most = option("max-drop"), 2, len(calib)
    elif options.recover == "distill":
        if calib.batch > 1:
            raise OptionError(
                f"{option('recover', 'distill')} is not for a model with a batch of {calib.batch}",
                "export the model with a batch of 1 or a free one",
            )
        mention, share, most = option("recover", "distill"), _SHARE, _MOST_HELD_OUT
    else:
        return calib.grouped(), None
    count = min(len(calib) // share, most)
    if count < _LEAST_HELD_OUT:
        part = {2: "half", _SHARE: "a quarter"}[share]
        raise OptionError(
            f"{mention} needs at least {share * _LEAST_HELD_OUT} calibration samples, to hold "
            f"{part} of them out; there are {len(calib)}",
            f"give more with {option('calib')} and {option('calib-count')}",
        )
    learning, held_out = calib.split(count, seed)
    return learning.grouped(), held_out


def require_distilling(options: PruneOptions, model: ModelProto) -> None:
    """Raise PackageError or ModelError, before minutes are spent, when it cannot be done."""
    if options.recover == "distill":
        require_distillable(model)


def distil_pruned(
    task: DistilTask, output: Path, cache: Cache | None, progress: Progress
) -> Distillation:
    """Distil the pruned model and write ``output``.

    A run that is stopped goes on where it was, from a file in the cache.
    """
    samples, held_out = split_for_pruning(task.calib, task.pruning, task.seed)
    assert held_out is not None
    options = task.options
    seconds = math.inf if options.recover_time is None else options.recover_time
    schedule = Schedule(options.recover_steps, seconds, task.seed)
    with scratch_folder() as folder, training_checkpoint("distill", task, cache) as checkpoint:
        teacher = folder / "original.onnx"
        save_model(task.model, teacher)
        return distil(
            task.pruned,
            teacher,
            TrainingSamples(samples, held_out),
            output,
            schedule,
            checkpoint=checkpoint,
            progress=progress,
        )


def distillation_warnings(distillation: Distillation | None) -> list[Diagnostic]:
    """Return the warning that training was of no use, where it was."""
    if distillation is None or distillation.kept:
        return []
    return [
        Diagnostic(
            "pruning-distillation",
            f"training made nothing better on {distillation.held_out} held-out samples, so the "
            f"weights are those of least squares ({distillation.steps} steps in "
            f"{distillation.seconds:.0f} s)",
            f"give more samples ({option('calib-count')}) or more time ({option('recover-time')}), "
            f"or leave out {option('recover', 'distill')}",
        )
    ]
