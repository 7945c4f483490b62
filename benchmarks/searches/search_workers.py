"""How many points two workers bring to an end for each of one, by the clock."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rockpress.pipeline.search.journal import Journal
from rockpress.pipeline.search.points import Trial
from rockpress.pipeline.search.sampler import OptunaSampler
from rockpress.pipeline.search.search import Search, SearchLimits

from ..prunings.methods import DEMO
from .measured_trials import MeasuredTrials
from .search_models import search_recipe

_TURNS = (1, 2, 2, 1)  # so that a machine that slows down slows both


def compare_workers(work: Path, seconds: float) -> None:
    """Print for each search how many points came to their end, and the ratio of the sums."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("two cores are needed")
    points = {1: 0, 2: 0}
    for workers in _TURNS:
        count = points_in(cores[:workers], work / "workers", seconds)
        points[workers] += count
        print(
            f"{workers} at once: {count} points in {seconds:g} s, load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
    print(f"two workers for one: {points[2] / max(points[1], 1):.2f} times the points")


def points_in(cores: Sequence[int], folder: Path, seconds: float) -> int:
    """Return how many points of the demo come to their end, by a worker on each of the cores."""
    shutil.rmtree(folder, ignore_errors=True)
    recipe = search_recipe(DEMO, folder)
    trials = MeasuredTrials(DEMO, recipe, folder / "none.jsonl", folder, runs=True)
    evaluator = trials.evaluator(len(cores))
    # what a thread is bound to, the processes that it starts are bound to
    evaluator._pool = ThreadPoolExecutor(len(cores), initializer=_binder(cores))
    ended: set[int] = set()
    began = time.monotonic()

    def hear(so_far: Sequence[Trial]) -> None:
        if time.monotonic() - began <= seconds:
            ended.update(trial.number for trial in so_far if trial.has_ended(evaluator.rungs))

    try:
        journal = Journal(folder / "trials.jsonl", "")
        limits = SearchLimits(seconds=seconds)
        Search(OptunaSampler(trials.space), evaluator, journal, limits, hear).run()
    finally:
        evaluator.close()
        shutil.rmtree(folder, ignore_errors=True)
    return len(ended)


def _binder(cores: Sequence[int]) -> Callable[[], None]:
    left, lock = list(cores), threading.Lock()

    def bind() -> None:
        with lock:
            core = left.pop()
        os.sched_setaffinity(threading.get_native_id(), {core})

    return bind
