"""What the points of a search are held against, measured as they are, and once for all."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..convert.chips.targets import Target
from ..core.errors import RockpressError
from ..core.graphs.model import model_bytes
from ..core.progress import Progress
from ..core.results.tune_report import RetentionRange, TuneReference
from ..core.scratch import scratch_folder
from .check import check
from .convert_file import convert_file
from .options.check_options import Gates
from .recipes.recipe import Recipe
from .search.journal import Journal
from .search.points import Failure, Measure, Outcome, Point, Trial
from .search.recipe_evaluator import ALL, HELD_OUT, RecipeEvaluator
from .search.trial_process import outcome_of
from .tune_point import range_of

# where the space has both, this is the point of it, and is measured once
FLOAT16 = Point.of({"prune": None, "scheme": "float16"})
TOOLKIT = Point.of({"toolkit_quantizer": "normal"})
_PARTS = {ALL: "search", HELD_OUT: "held-out"}


@dataclass
class TuneReferences:
    """The float model, and on the chip the original in float16 and by the toolkit's quantizer.

    What is in the journal is not measured again.
    """

    recipe: Recipe
    target: Target
    goal: str
    evaluator: RecipeEvaluator
    journal: Journal

    @property
    def _rungs(self) -> tuple[int, ...]:
        return (ALL,) if self.recipe.samples.eval is None else (ALL, HELD_OUT)

    def measure(self, front: Collection[Point], progress: Progress) -> None:
        """Measure what is missing; files of a point of the ``front`` stay."""
        if self._missing(FLOAT16) or self._missing(TOOLKIT):
            progress.stage("measure what the points are held against")
        waiting = [(rung, self.evaluator.submit(FLOAT16, rung)) for rung in self._missing(FLOAT16)]
        self._measure_toolkit()
        for rung, future in waiting:
            self.journal.add(FLOAT16, rung, future.result())
        if waiting and FLOAT16 not in front:
            shutil.rmtree(self.evaluator.folder_of(FLOAT16), ignore_errors=True)

    def _missing(self, point: Point) -> list[int]:
        needed = "float16" if point == FLOAT16 else "w8a8"
        rungs = self._rungs if needed in self.target.dtypes else ()
        return [rung for rung in rungs if self.journal.outcome(point, rung) is None]

    def _measure_toolkit(self) -> None:
        with scratch_folder() as folder:
            for rung in self._missing(TOOLKIT):
                outcome = toolkit_outcome(self.recipe, folder / "t.rknn", rung, self.goal)
                self.journal.add(TOOLKIT, rung, outcome)

    def rows(self, trials: Sequence[Trial]) -> Iterator[TuneReference]:
        """Yield all of them that the chip has, the float model first."""
        yield self._float_model(trials)
        if "float16" in self.target.dtypes:
            yield self._row("float16", FLOAT16)
        if "w8a8" in self.target.dtypes:
            yield self._row("toolkit", TOOLKIT)

    def _float_model(self, trials: Sequence[Trial]) -> TuneReference:
        points = [FLOAT16, TOOLKIT, *(trial.point for trial in trials)]
        metrics = {
            name: value
            for name, rung in (("metric", ALL), ("unseen_metric", HELD_OUT))
            if (value := self._float_metric(points, rung)) is not None
        }
        size, whole = float(model_bytes(self.recipe.model)), RetentionRange(1, 1, 1)
        return TuneReference(
            "float-model",
            cost=size if self.goal == "size" else None,
            retention=whole,
            unseen=whole if len(self._rungs) > 1 else None,
            figures={"bytes": size, **metrics},
        )

    def _float_metric(self, points: Sequence[Point], rung: int) -> float | None:
        outcomes = (self.journal.outcome(point, rung) for point in points)
        values = (
            each.figures.get("float_metric") for each in outcomes if isinstance(each, Measure)
        )
        return next((value for value in values if value is not None), None)

    def _row(self, name: Literal["float16", "toolkit"], point: Point) -> TuneReference:
        outcome, unseen = (self.journal.outcome(point, rung) for rung in (ALL, HELD_OUT))
        measure = outcome if isinstance(outcome, Measure) else None
        failures = (each.reason for each in (outcome, unseen) if isinstance(each, Failure))
        return TuneReference(
            name,
            cost=None if measure is None else measure.cost,
            retention=range_of(measure),
            unseen=range_of(unseen),
            figures={} if measure is None else measure.figures,
            failure=next(failures, ""),
        )


def toolkit_outcome(recipe: Recipe, rknn: Path, rung: int, goal: str) -> Outcome:
    """Return what the toolkit's own quantizer makes of the original; it is built to ``rknn``."""
    part = "all" if recipe.samples.eval is None else _PARTS[rung]
    recipe = replace(recipe, gates=Gates()).with_options(
        toolkit_quantizer="normal", scheme="w8a8", eval_part=part
    )
    try:
        if not rknn.exists():
            convert_file(recipe, rknn)
        return outcome_of(check(recipe, rknn), goal)
    except RockpressError as error:
        return Failure(error.message)
