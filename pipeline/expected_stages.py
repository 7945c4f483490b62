"""Which stages a run will walk, and what they may take: by what they took in earlier runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..convert.chips.targets import Target
from ..core.progress import ExpectedStage
from ..core.results.report import Report
from .caching.stage_times import RunTimes, StageTimes
from .inputs import RunInputs
from .recipes.recipe import Recipe
from .stages.stage_list import STAGES
from .stages.target_run import TargetRun

BASELINE = "baseline"
# what the demo's took on two cores, for the shares of a first run; how fast it is shows on the way
_USUAL = {
    **{"baseline": 3.7, "reference-float16": 8.8, "quantize-reference": 5.4},
    **{"reference-int8": 9.0, "prune": 44.6, "check-pruned": 1.7, "quantize": 19.2},
    **{"check-quantized": 4.7, "convert": 24.4, "check": 0.3},
}
_RAN = ("done", "cached")  # of which the seconds are those that it took


def expected_stages(
    inputs: RunInputs, recipe: Recipe, targets: Sequence[Target]
) -> list[ExpectedStage]:
    """Return the baseline, and the stages of every target in their order, with their seconds.

    Those of the same model in the same form are taken from its last runs, the others from all, or
    from the demo.
    """
    names = [(BASELINE, "")]
    is_alone = len(targets) == 1  # then nobody is told of its name
    for target in targets:
        run = TargetRun(*inputs, recipe, target, Path(), Path())
        applied = [stage.name for stage in STAGES if stage.applies(run)]
        names += [(name, "" if is_alone else target.name) for name in applied]
    times = StageTimes(recipe.cache.folder) if recipe.cache else None
    own = times.of_work(_work_of(recipe)) if times else {}
    others = {
        "distill": recipe.distil.recover_time,
        **_USUAL,
        **(times.of_others() if times else {}),
    }
    return [
        ExpectedStage(name, target, own.get(name, others.get(name)), name in own)
        for name, target in names
    ]


def keep_times(recipe: Recipe, report: Report) -> None:
    """Keep what the stages of a run took, for the next one."""
    if recipe.cache is None:
        return
    seconds: dict[str, float] = {}
    for target in report.targets:
        for stage in target.stages:
            if stage.status in _RAN and stage.seconds > 0:
                seconds[stage.name] = max(stage.seconds, seconds.get(stage.name, 0.0))
    if seconds:
        StageTimes(recipe.cache.folder).add(RunTimes(_work_of(recipe), seconds))


def _work_of(recipe: Recipe) -> str:
    """Return what decides most of how long stages take, to tell the runs of one model."""
    counts = (recipe.samples.calib_count, recipe.samples.eval_count)
    parts = (recipe.model.stat().st_size, recipe.quantize.scheme, recipe.prune.prune, *counts)
    return " ".join(map(str, parts))
