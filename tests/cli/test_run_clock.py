"""How long a run goes on: what its stages took before, at the pace of this run."""

from __future__ import annotations

from rockpress.cli.run_clock import RunClock
from rockpress.core.progress import ExpectedStage


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def planned(*seconds: float | None, is_measured: bool = True, at_once: int = 1) -> RunClock:
    """A run of stages a, b, c ... that took so many seconds before, and its clock."""
    run = RunClock(Clock())
    names = "abcdefgh"[: len(seconds)]
    stages = [
        ExpectedStage(name, "", each, is_measured)
        for name, each in zip(names, seconds, strict=True)
    ]
    run.plan(stages, at_once)
    return run


def at(run: RunClock, now: float) -> None:
    run._clock.now = now  # type: ignore[attr-defined]


def test_the_times_of_earlier_runs_are_added_up() -> None:
    run = planned(10, 20, 30)
    first = run.begin("a")
    assert (first.number, run.planned) == (1, 3)
    assert run.left_text(first) == "about 60 s left"
    at(run, 4)
    assert run.left_text(first) == "about 56 s left"


def test_a_slower_machine_slows_what_is_left() -> None:
    run = planned(10, 20, 30)
    first = run.begin("a")
    at(run, 20)
    run.finish(first)
    second = run.begin("b")
    pace = (20 + 6) / (10 + 6)  # a tenth of the whole 60 s goes on as before
    assert run.seconds_left() == pace * 50
    at(run, 30)
    assert run.left_text(second) == "about 71 s left"


def test_a_stage_of_no_time_hardly_counts() -> None:
    run = planned(0.1, 100)
    first = run.begin("a")
    at(run, 1)
    run.finish(first)
    run.begin("b")
    left = run.seconds_left()
    assert left is not None and 100 < left < 110


def test_what_other_models_took_waits_for_a_tenth_of_this_run() -> None:
    run = planned(1, 10, 20, is_measured=False)
    first = run.begin("a")
    assert run.left_text(first) == ""
    at(run, 3)
    run.finish(first)
    second = run.begin("b")
    assert run.seconds_left() is None
    at(run, 33)
    run.finish(second)
    run.begin("c")
    assert run.seconds_left() == 3 * 20


def test_a_cached_stage_says_nothing_of_the_pace() -> None:
    run = planned(10, 20)
    first = run.begin("a")
    at(run, 0.1)
    run.finish(first, is_cached=True)
    run.begin("b")
    assert run.seconds_left() == 20
    assert first.outcome == "cached"


def test_a_stage_that_takes_longer_than_before() -> None:
    run = planned(10, 20)
    first = run.begin("a")
    at(run, 50)
    assert run.seconds_left() == 0.1 * 50 + 20
    first.activity.step("sweep", 0, 10)
    at(run, 90)
    first.activity.step("sweep", 4, 10)
    assert run.seconds_left() == 60 + 20  # what its own steps say is longer


def test_an_unknown_stage_leaves_only_the_step() -> None:
    run = planned(10, None)
    first = run.begin("a")
    first.activity.step("sweep", 0, 10)
    at(run, 5)
    first.activity.step("sweep", 5, 10)
    assert run.left_text(first) == "about 5 s left of this step"
    at(run, 10)
    run.finish(first)
    assert run.left_text(run.begin("b")) == ""


def test_targets_side_by_side_share_the_time() -> None:
    run = RunClock(Clock())
    stages = [ExpectedStage("convert", target, 30, True) for target in ("rk3588", "rk3576")]
    run.plan(stages, 2)
    one, other = run.begin("convert", "rk3576"), run.begin("convert", "rk3588")
    assert (one.number, other.number, one.title) == (1, 2, "rk3576: convert")
    assert run.seconds_left() == 30
    at(run, 10)
    assert run.seconds_left() == 20


def test_a_command_of_one_stage_has_no_plan() -> None:
    run = RunClock(Clock())
    stage = run.begin("convert")
    stage.activity.step("simulate", 0, 4)
    at(run, 2)
    stage.activity.step("simulate", 1, 4)
    assert (stage.number, run.left_text(stage)) == (0, "about 6 s left")
