"""What a run would do, without doing it: its stages, and which of them the cache has."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from ..core.progress import SILENT, Progress
from ..core.results.family_figure import FamilyFigure
from ..core.results.report import REGRESSION, Report
from ..core.scratch import scratch_folder
from .caching.stage_cache import CacheMiss
from .filled_recipe import fill_recipe
from .inputs import RunInputs, open_inputs
from .recipes.recipe import Recipe
from .run import preflight, whole_run
from .samples.bound_metric import bound_metric, naming
from .samples.preprocess_warnings import input_warnings, option_warnings
from .stages.stage import on_samples
from .stages.stage_list import cached_stages
from .stages.target_run import TargetRun
from .tasks.idle_options import idle_options


@dataclass(frozen=True)
class PlannedStage:
    """A stage by the name that the report will have for it, and what it would do.

    One that takes what a stage before it has yet to make counts as run, and so does one that
    another target is about to make too: it may turn out to be in the cache all the same.
    """

    name: str
    status: Literal["cached", "run"]
    what: str


@dataclass(frozen=True)
class PlannedTarget:
    """The stages for one target, the file that they end in, the gates that it has to pass, and
    the family of the model that options were taken from."""

    target: str
    output: str
    stages: tuple[PlannedStage, ...]
    gates: dict[str, float]
    family: FamilyFigure | None = None


def plan_run(
    recipe: Recipe, folder: Path, progress: Progress = SILENT
) -> tuple[PlannedTarget, ...]:
    """Return what ``run`` would do. Raises what it would raise before its first stage.

    What the options say of the preprocess is told, and what labels say where the cache has it.
    """
    filled = fill_recipe(recipe, "run")
    for idle in idle_options(recipe, filled.recipe, "run"):
        progress.warn(idle)
    recipe = filled.recipe
    targets, _, version = preflight(recipe, folder)
    inputs = open_inputs(recipe)
    if recipe.cache is not None:
        recipe = replace(recipe, cache=recipe.cache.as_read_only())
    _tell_of_preprocess(inputs, recipe, progress)
    all_cached = _all_cached(recipe, version)
    plans = []
    for target in targets:
        with scratch_folder() as work:
            run = TargetRun(*inputs, recipe, target, work / "files", work / "scratch")
            stages = _planned_stages(run, all_cached=all_cached)
        output = folder / target.name / f"{recipe.model.stem}.rknn"
        plans.append(PlannedTarget(target.name, str(output), stages, _gates(recipe), filled.family))
    return tuple(plans)


def _tell_of_preprocess(inputs: RunInputs, recipe: Recipe, progress: Progress) -> None:
    ready, calib, evaluation = inputs
    if recipe.stage_cache is not None and evaluation.labels is not None:
        scoring = bound_metric(recipe.metric, ready.model, evaluation)
        with suppress(CacheMiss), naming(recipe.samples.eval or recipe.samples.calib):
            input_warnings(ready, calib, evaluation, scoring, recipe, progress)
            return
    for warning in option_warnings(recipe.preprocessing):
        progress.warn(warning)


def _all_cached(recipe: Recipe, version: str) -> bool:
    """Return whether nothing has changed since a run that was kept."""

    def compute(_: Path) -> Report:
        raise CacheMiss

    with scratch_folder() as folder:
        try:
            whole_run(recipe, version, compute, folder)
        except CacheMiss:
            return False
    return True


def _planned_stages(run: TargetRun, *, all_cached: bool) -> tuple[PlannedStage, ...]:
    """Return the baseline, which is never in the cache alone, and the stages of the target."""
    recipe, labelled = run.recipe, run.evaluation.labels is not None
    by = recipe.metric.metric if labelled else "agreement and SQNR"
    baseline = ("baseline", False, f"{recipe.model} in ONNX Runtime {on_samples(run)}, {by}")
    stages = (
        (stage.name, is_cached, stage.describe(run)) for stage, is_cached in cached_stages(run)
    )
    return tuple(
        PlannedStage(name, "cached" if all_cached or is_cached else "run", text)
        for name, is_cached, text in (baseline, *stages)
    )


def _gates(recipe: Recipe) -> dict[str, float]:
    """Return the limits by the name that the report has for them."""
    limits = asdict(recipe.gates)
    del limits["confidence"], limits["baseline"]
    more = {f"{REGRESSION}{name}": limit for name, limit in limits.pop("max_regression").items()}
    limited = {name.replace("_", "-"): limit for name, limit in limits.items() if limit is not None}
    return {**limited, **more}
