"""Points that crash, hang, eat memory or are killed: each fails alone, with its reason."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

import toy_search as toy
from rockpress.core.errors import OutputError
from rockpress.pipeline.search.points import Failure, Measure, Outcome, Point
from rockpress.pipeline.search.recipe_evaluator import ALL
from rockpress.pipeline.search.search import SearchLimits
from rockpress.pipeline.search.sole_search import sole_search
from rockpress.pipeline.search.space import Knob, Space
from rockpress.pipeline.search.trial_limits import TrialLimits, TrialTimes
from rockpress.pipeline.search.trial_process import TrialJob, run_trial
from rockpress.pipeline.search.trial_runner import TrialProcesses

FAULTS = ("auto", "kl", "percentile", "gptq-sequential", "gptq")
REASONS = {
    "kl": "ended by signal 11",
    "percentile": "took more than 3 s",
    "gptq-sequential": "took more than 0.3 GB of memory",
    "gptq": "ended by signal 9",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a search of the toy is; none of its processes is left at the end."""
    toy.measure_by_toy(tmp_path, monkeypatch)
    # what hangs there is deaf: it is told to end, and then killed
    monkeypatch.setattr("rockpress.pipeline.search.trial_limits._SECONDS_TO_END", 1)
    yield tmp_path
    assert left_of(tmp_path) == []


def left_of(folder: Path) -> list[int]:
    """Return the processes of trials that are still there after a while."""
    end = time.monotonic() + 60
    while (left := list(_running(folder))) and time.monotonic() < end:
        time.sleep(0.1)
    return left


def _running(folder: Path) -> Iterator[int]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            is_own = process.environ().get("TOY_LOG") == str(folder / "log.txt")
            if is_own and process.pid != os.getpid() and process.status() != "zombie":
                yield process.pid


def outcome_of(folder: Path, method: str, **limits: float) -> Outcome:
    recipe = toy.toy_recipe(folder, trial_time=limits.get("seconds", 600))
    point = Point.of({"prune": None, "scheme": "w8a8", "method": method})
    with closing(toy.toy_evaluator(recipe, folder, limits.get("memory", math.inf))) as evaluator:
        return evaluator.submit(point, ALL).result()


def test_a_trial_that_crashes_is_its_own_failure(folder: Path) -> None:
    assert outcome_of(folder, "kl") == Failure("ended by signal 11")
    assert len((folder / "log.txt").read_text().split()) == 1


def test_the_log_of_a_failure_stays_beside_the_points(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = folder / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    assert outcome_of(folder, "min-max") == Failure("it did not build")
    (log,) = (folder / "points").glob("*.log")
    assert log.read_text() == "the toolkit's own words"
    assert list(scratch.iterdir()) == []


def test_a_trial_that_hangs_is_ended_with_its_children(folder: Path) -> None:
    assert outcome_of(folder, "percentile", seconds=3) == Failure("took more than 3 s")


def test_a_trial_that_eats_memory_is_ended(folder: Path) -> None:
    failure = outcome_of(folder, "gptq-sequential", memory=0.3e9)
    assert failure == Failure("took more than 0.3 GB of memory")


def test_a_trial_that_somebody_kills_is_run_again_but_not_for_ever(folder: Path) -> None:
    assert isinstance(outcome_of(folder, "gptq-min-max"), Measure)  # killed twice
    assert outcome_of(folder, "gptq") == Failure("ended by signal 9")
    assert len((folder / "log.txt").read_text().split()) == 3 + 3


class ShortHangs(TrialProcesses):
    """Gives three seconds to what hangs, and to all else the time that a busy machine takes."""

    def run(self, job: TrialJob, *, with_files: bool) -> Outcome:
        if '"percentile"' in job.recipe:
            job = replace(job, limits=replace(job.limits, seconds=3))
        return super().run(job, with_files=with_files)


def test_faults_leave_the_front_as_it_is(folder: Path) -> None:
    pytest.importorskip("optuna")
    cuts = Knob("prune", toy.CUTS[::4])
    spaces = {methods: Space((cuts, Knob("method", methods))) for methods in (FAULTS, ("auto",))}
    fronts = {}
    for methods, space in spaces.items():
        there = folder / str(len(methods))
        recipe = toy.toy_recipe(folder, scheme="w8a8", trial_time=600)
        first = tuple(space.canonical({"method": method}) for method in methods)
        evaluator = replace(toy.toy_evaluator(recipe, there, 0.3e9), runner=ShortHangs())
        with closing(evaluator):
            searched = replace(space, first=first)
            trials = toy.toy_search(there, evaluator, searched, SearchLimits(10))
        fronts[methods] = {(trial.point, trial.outcomes) for trial in toy.front_trials(trials)}
        for trial in trials:
            assert trial.failure == REASONS.get(str(trial.point["method"]), "")
    assert fronts[FAULTS] == fronts["auto",] != set()


def test_a_limit_is_named_by_what_was_exceeded() -> None:
    limits = TrialLimits(90, 2e9)
    assert limits.exceeded(89, 1.9e9) == ""
    assert limits.exceeded(91, 3e9) == "took more than 1 min 30 s"
    assert limits.exceeded(89, 2.1e9) == "took more than 2.0 GB of memory"


def test_the_time_of_a_trial_follows_the_median_of_its_rung() -> None:
    times = TrialTimes()
    assert times.limit(1) == 4 * 3600
    for seconds in (2.0, 600.0, 400.0):
        times.add(1, seconds)
    assert times.limit(1) == 4000
    assert times.limit(2) == 4 * 3600
    for _ in range(3):
        times.add(2, 5.0)
    assert times.limit(2) == 1800
    assert TrialTimes(7.0).limit(1) == 7


def test_a_folder_is_for_one_search_at_a_time(tmp_path: Path) -> None:
    trials = tmp_path / "new" / "trials.jsonl"
    match = "another search is at work"
    with sole_search(trials), pytest.raises(OutputError, match=match), sole_search(trials):
        raise AssertionError
    with sole_search(trials):
        pass


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    trials = tmp_path / "file" / "trials.jsonl"
    match = f"cannot make the folder {trials.parent}: {trials.parent} is a file"
    with pytest.raises(OutputError, match=match), sole_search(trials):
        raise AssertionError


def test_modules_of_the_user_are_found_from_a_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["mine", "/theirs"]))
    says_it = ("-c", "import os, sys; sys.exit('error: ' + os.environ['PYTHONPATH'])")
    outcome = run_trial(TrialJob("", tmp_path, 1, "latency", program=says_it), lambda _: None)
    assert outcome == Failure(os.pathsep.join([str(tmp_path / "mine"), "/theirs"]))
