"""What ``rockpress tune`` calls: the search for the best trade-offs of one model on one chip."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ..convert.chips.targets import Target
from ..convert.latency.coefficients import is_fitted
from ..core.diagnostics import option
from ..core.errors import OptionError
from ..core.files import write_text
from ..core.progress import SILENT, Progress
from ..core.results.report import ToolVersion
from ..core.results.tune_report import End, TuneReport
from ..core.unfinished import keep_new
from ..core.version import rockpress_version
from ..report.documents.tune_document import tune_text
from .cluster.cluster_runner import open_cluster
from .filled_recipe import fill_recipe
from .input_sizes import SizedRetention, in_size, size_values, with_size
from .inputs import RunInputs, open_inputs
from .measured_files import measured_files
from .options.tune_options import TuneOptions
from .recipes.recipe import Recipe, only_target
from .requirements import require_possible
from .search.default_space import search_space
from .search.final_front import bring_back_files, on_unseen
from .search.front import Pick, pareto_front, picked
from .search.journal import Journal
from .search.paced import Paced
from .search.pick_rule import pick_text, read_pick
from .search.points import CUT_SHORT, Outcome, Point, Trial
from .search.predicted_cost import PredictedCost
from .search.recipe_evaluator import ALL, RecipeEvaluator, few_pay
from .search.sampler import OptunaSampler
from .search.search import Search, SearchLimits
from .search.sole_search import sole_search
from .search.space import Space
from .search.study_copy import copier
from .search.trial_recipe import trial_recipe
from .search_parts import search_parts, whole_digest
from .searchable import has_training, idle_limits, require_points, require_searchable
from .tasks.installed_toolkit import require_toolkit
from .tune_point import tune_point
from .tune_references import TuneReferences

Goal = Literal["latency", "size"]
TRIALS_FILE, REPORT_FILE, CHOSEN_FILE = "trials.jsonl", "tune.json", "chosen.toml"
_TRIALS = 32
_ONE_CHIP = (
    "a front is of one chip: search for one after the other, each in its own folder; what they "
    "share is not computed again"
)
_BYTES_OF_A_WORKER = 3e9


def tune(
    recipe: Recipe,
    output: Path,
    *,
    goal: Goal = "latency",
    values: Mapping[str, Sequence[Any]] | None = None,
    progress: Progress = SILENT,
) -> TuneReport:
    """Search for the points of ``recipe`` that retain most for their ``goal``, ms or bytes.

    ``values`` are those of options to choose from, by name, beside the defaults. Everything goes to
    ``output``: trials.jsonl, from which the same search goes on later and measures nothing twice,
    tune.json, which has the front at every moment, a folder for each point of the front, and
    chosen.toml, the recipe of the point that ``recipe.tune.pick`` picks. Raises RockpressError for
    what cannot be searched; a point that fails is listed.
    """
    began = time.monotonic()
    is_size_open = not (recipe.is_explicit("size") or recipe.is_explicit("input"))
    values = values or {}
    recipe = with_size(fill_recipe(recipe, "tune", progress).recipe, values.get("size", ()))
    target = only_target(recipe, "tune", _ONE_CHIP)
    _require_cost(target, goal)
    pick = read_pick(recipe.tune.pick, goal, recipe.gates.min_retention)
    require_possible(recipe, runs_here=recipe.tune.scheduler is None)
    require_searchable(recipe, values)
    for warning in idle_limits(recipe, values):
        progress.warn(warning)
    version = require_toolkit(recipe.toolkit.toolkit_python)
    sizes = size_values(recipe) if is_size_open else ()
    space = search_space(recipe, target, goal, values, sizes)
    require_points(_as_searched(recipe), space, values)
    inputs = open_inputs(_as_searched(recipe))
    is_trained = has_training(recipe, space)
    tuning = Tuning(recipe, target, goal, pick, output, version, began, is_trained)
    with sole_search(output / TRIALS_FILE):
        return _searched(tuning, inputs, space, progress)


def _searched(tuning: Tuning, inputs: RunInputs, space: Space, progress: Progress) -> TuneReport:
    """Search, write what is chosen, and return the report, which is written too."""
    recipe, output = tuning.recipe, tuning.output
    with closing(tuning.evaluator(inputs)) as evaluator:
        parts = search_parts(recipe, tuning.version, space, tuning.goal)
        digest = whole_digest(parts)
        journal = Journal(output / TRIALS_FILE, digest, parts)
        # with thousands of points it takes half a second, and many end in one
        keep = Paced[Sequence[Trial]](lambda trials: tuning.keep(trials, evaluator, progress))
        search = Search(
            OptunaSampler(space, recipe.run.seed),
            evaluator,
            journal,
            limits_of(recipe.tune, recipe.gates.min_retention),
            keep,
            on_told=copier(recipe, digest, space, progress.warn),
            on_over=partial(_note_end, progress),
        )
        progress.stage("search")
        try:
            trials = search.run()
            keep(trials)  # a search that measures nothing more has told nothing
        finally:
            keep.finish()
        front = _front(trials)
        bring_back_files(front, evaluator)
        unseen = on_unseen(front, evaluator, journal, recipe, progress)
        ended_by: End = "space" if all_tried(space, trials) else search.ended_by
        report = tuning.report(trials, unseen, ended_by=ended_by)
        # an interrupt from here on takes nothing of what was searched for
        tuning.write(report, picked(front, tuning.pick))
        references = TuneReferences(recipe, tuning.target, tuning.goal, evaluator, journal)
        references.measure([trial.point for trial in front], progress)
    seconds, rows = time.monotonic() - tuning.began, tuple(references.rows(trials))
    report = replace(report, references=rows, seconds=seconds)
    write_text(output / REPORT_FILE, tune_text(report))
    return report


def _require_cost(target: Target, goal: Goal) -> None:
    if goal == "latency" and not is_fitted(target):
        raise OptionError(
            f"there is no latency in milliseconds for {target.name}, only cycles",
            f"search with {option('for', 'size')}, or for another {option('target')}",
        )


def _as_searched(recipe: Recipe) -> Recipe:
    part = "all" if recipe.samples.eval is None else "search"
    return recipe.with_options(eval_part=part)


def limits_of(options: TuneOptions, min_retention: float | None) -> SearchLimits:
    """Return when a search ends: after 32 points, where neither trials nor time are given."""
    trials = options.trials
    if trials is None and options.time is None:
        trials = _TRIALS
    return SearchLimits(trials, options.time, options.batch, min_retention)


def workers_of(options: TuneOptions, cores: int, free_bytes: float) -> int:
    """Return how many points are measured at once: as asked, or what cores and memory allow."""
    if options.workers is not None:
        return options.workers
    return max(1, min(cores, int(free_bytes // _BYTES_OF_A_WORKER), options.batch))


def _note_end(progress: Progress, at_work: int) -> None:
    points = "1 point" if at_work == 1 else f"{at_work} points"
    progress.note(f"the time is over: {points} at work will be brought to the end")


def all_tried(space: Space, trials: Sequence[Trial]) -> bool:
    """Return whether a search has nothing more to try, were it given more points or time."""
    ended = {trial.point for trial in trials if trial.set_aside != CUT_SHORT}
    return space.is_covered_by(ended)


def _front(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """Return the front of those trials that were measured on all samples."""
    return pareto_front(trial for trial in trials if len(trial.outcomes) > ALL)


@dataclass(frozen=True)
class Tuning:
    """A search of a recipe, and what it has come to so far; whether a point of it ``trains``."""

    recipe: Recipe
    target: Target
    goal: Goal
    pick: Pick
    output: Path
    version: str
    began: float
    trains: bool = False

    def evaluator(self, inputs: RunInputs) -> RecipeEvaluator:
        """Return what measures the points, by as many workers as there may be."""
        sized = partial(in_size, self.recipe)
        ready, _, evaluation = inputs
        predicted = PredictedCost(ready.model, self.target, self.goal, sized)
        evaluator = partial(
            RecipeEvaluator,
            self.recipe,
            predicted,
            self.goal,
            self.output / "points",
            against=SizedRetention(self.recipe),
            has_few=few_pay(evaluation),
        )
        if self.recipe.tune.scheduler is not None:
            cluster = open_cluster(
                self.recipe,
                self.recipe.tune.scheduler,
                self.version,
                measured_files(self.recipe),
                trains=self.trains,
            )
            return evaluator(self.recipe.tune.workers or cluster.workers, 1, cluster)
        import psutil

        cores = len(os.sched_getaffinity(0))
        free = psutil.virtual_memory().available
        workers = workers_of(self.recipe.tune, cores, free)
        memory = max(free / workers, _BYTES_OF_A_WORKER)
        return evaluator(workers, max(1, cores // workers), memory=memory)

    def keep(self, trials: Sequence[Trial], evaluator: RecipeEvaluator, progress: Progress) -> None:
        """Write the front so far, and remove the files of what was measured and is not on it."""
        ended = [trial for trial in trials if trial.has_ended(evaluator.rungs)]
        # how many there will be nobody knows where the time ends it
        progress.step("points", len(ended), limits_of(self.recipe.tune, None).trials)
        front = {trial.point for trial in _front(trials)}
        for trial in ended:
            if trial.point not in front:
                shutil.rmtree(evaluator.folder_of(trial.point), ignore_errors=True)
        write_text(self.output / REPORT_FILE, tune_text(self.report(trials, {})))
        keep_new()  # however the search ends, what it came to so far is a result

    def write(self, report: TuneReport, chosen: Trial | None) -> None:
        """Write the report and the recipe of the point that is picked."""
        write_text(self.output / REPORT_FILE, tune_text(report))
        if chosen is None:
            (self.output / CHOSEN_FILE).unlink(missing_ok=True)  # of another rule
        else:
            write_text(self.output / CHOSEN_FILE, trial_recipe(self.recipe, chosen.point, {}))

    def report(
        self, trials: Sequence[Trial], unseen: Mapping[Point, Outcome], ended_by: End = ""
    ) -> TuneReport:
        """Return what the search has come to."""
        front = _front(trials)
        chosen = picked(front, self.pick)
        numbers = {trial.number for trial in front}
        points = tuple(
            tune_point(trial, unseen.get(trial.point), is_on_front=trial.number in numbers)
            for trial in trials
        )
        metric = self.recipe.metric.metric if self.recipe.samples.eval else "agreement"
        return TuneReport(
            tool=ToolVersion("rockpress", rockpress_version()),
            toolkit=ToolVersion("rknn-toolkit2", self.version),
            model=str(self.recipe.model),
            target=self.target.name,
            goal=self.goal,
            measures=metric,
            points=points,
            front=tuple(trial.number for trial in front),
            chosen=None if chosen is None else chosen.number,
            pick=pick_text(self.pick, self.goal),
            seconds=time.monotonic() - self.began,
            is_final=bool(ended_by),
            ended_by=ended_by,
        )
