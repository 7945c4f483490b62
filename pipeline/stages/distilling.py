"""How a pruned model is distilled: on which samples, how long, and where it goes on."""

from __future__ import annotations

from pathlib import Path

from onnx import ModelProto

from ...calibration_data.samples import Samples
from ...core.diagnostics import Diagnostic, option
from ...core.errors import OptionError
from ...core.files import sha256_of
from ...core.graphs.model import save_model
from ...core.scratch import scratch_folder
from ...prune.distillation.distil import distil, require_distillable
from ...prune.distillation.distil_data import TrainingSamples
from ...prune.distillation.distil_training import Schedule
from ...prune.results.prune_result import Distillation
from ..caching.stage_cache import Cache, cache_folder
from ..recipes.recipe import Recipe
from .stage_log import Step, StepProgress

_LEAST_HELD_OUT = 8
_MOST_HELD_OUT = 64
# with --max-drop half of the samples, as they are what its cuts are judged by
_SHARE = 4
_CHECKPOINT = "checkpoint.pt"


def parted(calib: Samples, recipe: Recipe) -> tuple[Samples, Samples | None]:
    """The samples to prune and train by, and those held out to judge by when that is to be done.

    Raises OptionError when there are too few.
    """
    if recipe.max_drop is not None:
        named, share, most = option("max-drop"), 2, len(calib)
    elif recipe.recover == "distill":
        named, share, most = option("recover", "distill"), _SHARE, _MOST_HELD_OUT
    else:
        return calib, None
    count = min(len(calib) // share, most)
    if count < _LEAST_HELD_OUT:
        part = {2: "half", _SHARE: "a quarter"}[share]
        raise OptionError(
            f"{named} needs at least {share * _LEAST_HELD_OUT} calibration samples, to hold "
            f"{part} of them out; there are {len(calib)}",
            f"give more with {option('calib')} and {option('calib-count')}",
        )
    return calib.split(count, recipe.seed)


def require_distilling(recipe: Recipe, model: ModelProto) -> None:
    """Raise PackageError or ModelError, before minutes are spent, when it cannot be done."""
    if recipe.recover == "distill":
        require_distillable(model)


def distil_pruned(
    recipe: Recipe, model: ModelProto, pruned: Path, calib: Samples, output: Path, step: Step
) -> Distillation:
    """Distil ``pruned`` from ``model``, which it was made of, and write ``output``.

    A run that is stopped goes on where it was, from a file in the cache.
    """
    samples, held_out = parted(calib, recipe)
    assert held_out is not None
    plan = Schedule(seconds=recipe.recover_time, seed=recipe.seed)
    with scratch_folder() as folder:
        teacher = folder / "original.onnx"
        save_model(model, teacher)
        cache = recipe.cache or Cache(cache_folder())
        digests = [sha256_of(teacher), sha256_of(pruned), calib.digest()]
        inputs = {"digests": digests, "plan": [plan.seconds, plan.seed, recipe.max_drop]}
        with cache.unfinished("distill", inputs) as place:
            return distil(
                pruned,
                teacher,
                TrainingSamples(samples, held_out),
                output,
                plan,
                checkpoint=place / _CHECKPOINT,
                progress=StepProgress(step),
            )


def distillation_notices(found: Distillation | None) -> list[Diagnostic]:
    """The warning that training was of no use."""
    if found is None or found.kept:
        return []
    return [
        Diagnostic(
            "pruning-distillation",
            f"training made nothing better on {found.held_out} held-out samples, so the weights "
            f"are those of least squares ({found.steps} steps in {found.seconds:.0f} s)",
            f"give more samples ({option('calib-count')}) or more time "
            f"({option('recover-time')}), or leave out "
            f"{option('recover', 'distill')}",
        )
    ]
