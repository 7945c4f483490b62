"""Which stages a run will walk, and what they may take: by what they took in earlier runs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..calibration_data.bundled import MODEL
from ..convert.chips.targets import Target
from ..core.progress import ExpectedStage
from ..core.results.report import Report
from .caching.stage_times import RunTimes, StageTimes
from .inputs import RunInputs
from .recipes.recipe import Recipe
from .stages.stage_list import STAGES
from .stages.target_run import TargetRun

BASELINE = "baseline"
# what they took on two cores: the shares in a first run; how fast the machine is shows on the way
_OF_THE_DEMO = {
    **{"baseline": 3.7, "reference-float16": 8.8, "quantize-reference": 5.4},
    **{"reference-int8": 9.0, "prune": 44.6, "check-pruned": 1.7, "quantize": 19.2},
    **{"check-quantized": 4.7, "convert": 24.4, "check": 0.3},
}
# what the toolkit does in a process of its own, and mostly waits for
_BUILDS = ("reference-float16", "reference-int8", "convert")
_RAN = ("done", "cached")  # of which the seconds are those that it took


def expected_stages(
    inputs: RunInputs, recipe: Recipe, targets: Sequence[Target]
) -> list[ExpectedStage]:
    """Return the baseline, and the stages of every target in their order, with their seconds.

    They are those of its last run in the same form; of another model or with other options nobody
    knows: how many builds a conversion tries alone makes ten times as much of it.
    """
    names = [(BASELINE, "")]
    is_alone = len(targets) == 1  # then nobody is told of its name
    for target in targets:
        run = TargetRun(*inputs, recipe, target, Path(), Path())
        applied = [stage.name for stage in STAGES if stage.applies(run)]
        names += [(name, "" if is_alone else target.name) for name in applied]
    own: Mapping[str, float] = {}
    if recipe.cache is not None:
        own = StageTimes(recipe.cache.folder).of_work(_work_of(recipe))
    shares = _OF_THE_DEMO if recipe.model.name == MODEL else {}
    return [
        ExpectedStage(
            name,
            target,
            own.get(name, shares.get(name)),
            name in own,
            "build" if name in _BUILDS else "",
        )
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
    parts = (recipe.model.stat().st_size, *counts, recipe.prune, recipe.distil, recipe.quantize)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
