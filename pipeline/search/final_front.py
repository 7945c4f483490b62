"""The front when the search is over: its files are there, and it is measured on unseen samples."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.progress import Progress
from ..recipes.recipe import Recipe
from .journal import Journal
from .points import Outcome, Point, Trial
from .recipe_evaluator import ALL, HELD_OUT, RecipeEvaluator
from .trial_process import REPORT_FILE


def bring_back_files(front: Sequence[Trial], evaluator: RecipeEvaluator) -> None:
    """Make what somebody has removed since a point was measured; the cache of stages has it."""
    removed = [
        trial.point
        for trial in front
        if not (evaluator.folder_of(trial.point) / REPORT_FILE).exists()
    ]
    for future in [evaluator.submit(point, ALL) for point in removed]:
        future.result()


def on_unseen(
    front: Sequence[Trial],
    evaluator: RecipeEvaluator,
    journal: Journal,
    recipe: Recipe,
    progress: Progress,
) -> dict[Point, Outcome]:
    """Measure the front on the samples that the search has not seen, where some were kept apart."""
    if recipe.samples.eval is None:
        return {}
    progress.stage("measure the front on unseen samples")
    waiting = {
        trial.point: evaluator.submit(trial.point, HELD_OUT)
        for trial in front
        if journal.outcome(trial.point, HELD_OUT) is None
    }
    for done, (point, future) in enumerate(waiting.items()):
        journal.add(point, HELD_OUT, future.result())
        progress.step("points", done + 1, len(waiting))
    outcomes = {trial.point: journal.outcome(trial.point, HELD_OUT) for trial in front}
    return {point: outcome for point, outcome in outcomes.items() if outcome is not None}
