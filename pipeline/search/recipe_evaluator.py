"""Measures points of a recipe: predicted first, then on few samples, then on all of them."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...calibration_data.samples import Samples
from ...core.errors import RockpressError
from ..recipes.recipe import Recipe
from .points import Failure, Measure, Outcome, Point
from .predicted_cost import PredictedCost
from .trial_limits import TrialLimits, TrialTimes
from .trial_process import LOG_FILE, TrialJob
from .trial_recipe import trial_recipe
from .trial_runner import TrialProcesses, TrialRunner

PREDICTED, FEW, ALL, HELD_OUT = range(4)
_FEW_CALIB, _FEW_EVAL = 32, 100
# Below, building takes most of both stages: over the 43 points of benchmarks/tune.py on 600 samples
# the few took seven tenths of the time that all took, and set no point aside.
_MANY = 1000


def few_pay(evaluation: Samples) -> bool:
    """Return whether a search goes by few samples first, where all of them are so many."""
    return len(evaluation) >= _MANY


def _as_it_is(_point: Point, _samples: Mapping[str, Any], outcome: Outcome) -> Outcome:
    return outcome


@dataclass
class RecipeEvaluator:
    """Lets points of a recipe be run, so many at once, with so many threads each.

    One that takes more than so many bytes of ``memory``, or too long, is ended. What a point's own
    run says is held ``against`` what it is to be held against. ``folder`` gets a folder for each
    point that is at work or was measured on all samples. Without ``has_few`` the stage of few
    samples says what is predicted.
    """

    recipe: Recipe
    predicted: PredictedCost
    goal: str
    folder: Path
    workers: int
    threads: int
    runner: TrialRunner = field(default_factory=TrialProcesses)
    memory: float = math.inf
    has_few: bool = True
    against: Callable[[Point, Mapping[str, Any], Outcome], Outcome] = _as_it_is
    rungs: int = 3
    times: TrialTimes = field(init=False)
    _pool: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.workers)
        self.times = TrialTimes(self.recipe.tune.trial_time)

    def submit(self, point: Point, rung: int) -> Future[Outcome]:
        """Begin to measure a point; rung 3 is on the samples that the search does not see."""
        if rung == PREDICTED or (rung == FEW and not self.has_few):
            future: Future[Outcome] = Future()
            future.set_result(self._predict(point))
            return future
        return self._pool.submit(self._measure, point, rung)

    def scheme_of(self, point: Point) -> str:
        """Return the number format of a point."""
        scheme = point["scheme"]
        return scheme if isinstance(scheme, str) else self.recipe.quantize.scheme

    def folder_of(self, point: Point) -> Path:
        """Return where the files of a point are that was measured on all samples."""
        return self.folder / point.digest

    def close(self) -> None:
        """End all that is at work."""
        self.runner.close()
        self._pool.shutdown(cancel_futures=True)

    def _predict(self, point: Point) -> Outcome:
        try:
            return Measure(self.predicted(point, self.scheme_of(point)))
        except RockpressError as error:
            return Failure(error.message)

    def _measure(self, point: Point, rung: int) -> Outcome:
        # so many processes simulate it: those of all trials together are the cores of the search
        samples = self._samples(rung)
        text = trial_recipe(self.recipe, point, {**samples, "jobs": self.threads})
        whole = self.folder_of(point)
        folder = whole if rung == ALL else whole.with_name(f"{point.digest}.{rung}")
        limits = TrialLimits(self.times.limit(rung), self.memory)
        job = TrialJob(text, folder, self.threads, self.goal, limits)
        begun = time.monotonic()
        try:
            outcome = self.runner.run(job, with_files=rung == ALL)
            if isinstance(outcome, Measure):
                self.times.add(rung, time.monotonic() - begun)
            return self.against(point, samples, outcome)
        finally:
            with suppress(OSError):  # there is one of a failure alone
                (folder / LOG_FILE).replace(whole.with_name(f"{point.digest}.log"))
            if folder != whole:
                shutil.rmtree(folder, ignore_errors=True)

    def _samples(self, rung: int) -> Mapping[str, Any]:
        """Return which samples a rung takes; of those without labels none are kept apart."""
        options = self.recipe.samples
        samples: dict[str, Any] = {}
        if rung == FEW:
            samples["calib_count"] = min(_FEW_CALIB, options.calib_count)
        if options.eval is not None:
            samples["eval_part"] = "held-out" if rung == HELD_OUT else "search"
            if rung == FEW:
                samples["eval_count"] = min(_FEW_EVAL, options.eval_count or _FEW_EVAL)
        return samples
