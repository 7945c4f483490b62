"""Trials of a model: each is run once, for the first search that asks for it, and kept."""

from __future__ import annotations

import os
import resource
import sys
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from rockpress.convert.chips.targets import find_target
from rockpress.pipeline.inputs import open_inputs
from rockpress.pipeline.recipes.recipe import Recipe
from rockpress.pipeline.search.default_space import search_space
from rockpress.pipeline.search.points import Outcome, Point
from rockpress.pipeline.search.predicted_cost import PredictedCost
from rockpress.pipeline.search.recipe_evaluator import (
    ALL,
    FEW,
    PREDICTED,
    RecipeEvaluator,
    few_pay,
)
from rockpress.pipeline.search.space import Space

from .search_rows import TrialRow, add_row, read_rows, row_of
from .shared_work import Kind, kind_of, seconds_of

_TARGET = "rk3588"


class NotMeasured(Exception):
    """A trial that would have to be run, where none is to be."""


@dataclass
class MeasuredTrials:
    """The trials of a model in a file; with ``runs`` those that are missing are run.

    One at a time and on one thread, over one cache of stages.
    """

    model: str
    recipe: Recipe
    file: Path
    work: Path
    runs: bool
    _rows: dict[tuple[str, int], TrialRow] = field(init=False)

    def __post_init__(self) -> None:
        rows = (row for row in read_rows(self.file) if row.model == self.model)
        self._rows = {(row.point.digest, row.rung): row for row in rows}

    @cached_property
    def space(self) -> Space:
        """The space of the command."""
        return search_space(self.recipe, find_target(_TARGET), "latency", {})

    @cached_property
    def _evaluator(self) -> RecipeEvaluator:
        return self.evaluator(1)

    def evaluator(self, workers: int) -> RecipeEvaluator:
        """Return what measures points, each on one thread, with the cache of ``work``."""
        os.environ["ROCKPRESS_CACHE_DIR"] = str((self.work / "cache").resolve())
        ready, _, evaluation = open_inputs(self.recipe.with_options(eval_part="search"))
        predicted = PredictedCost(ready.model, find_target(_TARGET), "latency")
        about = (self.recipe, predicted, "latency", self.work / "points", workers)
        return RecipeEvaluator(*about, threads=1, has_few=few_pay(evaluation))

    @property
    def stages(self) -> tuple[int, ...]:
        """Return the stages of the command."""
        return (PREDICTED, FEW, ALL) if self._evaluator.has_few else (PREDICTED, ALL)

    def predicted(self, point: Point) -> Outcome:
        """Return what a point is predicted to cost, which takes no time."""
        return self._evaluator.submit(point, 0).result()

    def trial(self, point: Point, rung: int) -> TrialRow:
        """Return what a stage of a point gave. Raises NotMeasured."""
        row = self._rows.get((point.digest, rung))
        if row is None:
            if not self.runs:
                raise NotMeasured(f"{self.model}: {point.settings} on stage {rung}")
            row = self._rows[point.digest, rung] = self._run(point, rung)
            add_row(self.file, row)
            print(row, file=sys.stderr, flush=True)
        return row

    def pay(self, row: TrialRow, paid: set[Kind]) -> float:
        """Return the seconds that a search pays for a trial, and note what it has ``paid`` for."""
        seconds = seconds_of(row, list(self._rows.values()), paid)
        paid.add(kind_of(row))
        return seconds

    def _run(self, point: Point, rung: int) -> TrialRow:
        began, cpu = time.monotonic(), _cpu_seconds()
        outcome = self._evaluator.submit(point, rung).result()
        times = (_cpu_seconds() - cpu, time.monotonic() - began, os.getloadavg()[0])
        return row_of(self.model, point, rung, outcome, times)

    def close(self) -> None:
        """End what is at work."""
        if "_evaluator" in self.__dict__:
            self._evaluator.close()


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
