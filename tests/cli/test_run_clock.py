"""How long a run goes on: what its stages took before, at the pace of this run."""

from __future__ import annotations

import pytest

from rockpress.cli import progress_log
from rockpress.cli.progress_log import LogLines, ShownOnce
from rockpress.cli.run_clock import RunClock, RunTime
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


def seconds_of(run: RunClock) -> float:
    """What is left, where that is no bound only."""
    left = run.left()
    assert left is not None and not left.is_least
    return left.seconds


def at(run: RunClock, now: float) -> None:
    run._clock.now = now  # type: ignore[attr-defined]


def test_the_times_of_earlier_runs_are_added_up() -> None:
    run = planned(10, 20, 30)
    first = run.begin("a")
    assert (first.number, run.planned) == (1, 3)
    assert run.left_text(first) == "about 60 s left"
    at(run, 4)
    assert run.left_text(first) == "about 56 s left"


def test_one_kind_of_work_is_slowed_more_than_another_under_load() -> None:
    """As rockpress demo was beside other work: the toolkit's builds took no longer than alone."""
    took = {"build": [(8.8, 4.0), (9.0, 8.0)], "": [(3.7, 4.0), (44.6, 120.0), (19.2, 60.0)]}
    run = RunClock(Clock())
    coming = [ExpectedStage("convert", "", 24.4, kind="build"), ExpectedStage("check", "", 0.3)]
    over = [
        (ExpectedStage(f"{kind}{place}", "", before, kind=kind), now)
        for kind, stages in took.items()
        for place, (before, now) in enumerate(stages)
    ]
    run.plan([*(stage for stage, _ in over), *coming], 1)
    now = 0.0
    for stage, seconds in over:
        running = run.begin(stage.name)
        at(run, now := now + seconds)
        run.finish(running)
    # convert took 20 s then, and what all stages together tell is twice of that
    run.begin("convert")
    assert 20 < seconds_of(run) < 33


def test_a_slower_machine_slows_what_is_left() -> None:
    run = planned(10, 20, 30)
    first = run.begin("a")
    at(run, 20)
    run.finish(first)
    second = run.begin("b")
    pace = (20 + 6) / (10 + 6)  # a tenth of the whole 60 s goes on as before
    assert seconds_of(run) == pace * 50
    at(run, 30)
    assert run.left_text(second) == "about 71 s left"


def test_a_stage_of_no_time_hardly_counts() -> None:
    run = planned(0.1, 100)
    first = run.begin("a")
    at(run, 1)
    run.finish(first)
    run.begin("b")
    assert 100 < seconds_of(run) < 110


def test_what_another_machine_took_waits_for_a_tenth_of_this_run() -> None:
    run = planned(1, 10, 20, is_measured=False)
    first = run.begin("a")
    assert run.left_text(first) == "time left unknown"
    at(run, 3)
    run.finish(first)
    second = run.begin("b")
    assert run.left() is None
    at(run, 33)
    run.finish(second)
    run.begin("c")
    assert seconds_of(run) == 3 * 20


def test_a_cached_stage_says_nothing_of_the_pace() -> None:
    run = planned(10, 20)
    first = run.begin("a")
    at(run, 0.1)
    run.finish(first, is_cached=True)
    run.begin("b")
    assert seconds_of(run) == 20
    assert first.outcome == "cached"


def test_a_stage_that_takes_longer_than_before() -> None:
    run = planned(10, 20)
    first = run.begin("a")
    at(run, 50)
    assert run.left() == RunTime(20, is_least=True)
    assert run.left_text(first) == "at least 20 s left"
    first.activity.step("sweep", 0, 10)
    at(run, 90)
    first.activity.step("sweep", 4, 10)
    assert run.left() == RunTime(60 + 20, is_least=True)  # by its own steps, and more may come
    run.finish(first)
    at(run, 400)
    last = run.begin("b")
    at(run, 700)
    assert run.left_text(last) == "time left unknown"


def test_an_unknown_stage_leaves_only_the_step() -> None:
    run = planned(10, None)
    first = run.begin("a")
    first.activity.step("sweep", 0, 10)
    at(run, 5)
    first.activity.step("sweep", 5, 10)
    assert run.left_text(first) == "about 5 s left of this step"
    at(run, 10)
    run.finish(first)
    assert run.left_text(run.begin("b")) == "time left unknown"


def test_targets_side_by_side_share_the_time() -> None:
    run = RunClock(Clock())
    stages = [ExpectedStage("convert", target, 30, True) for target in ("rk3588", "rk3576")]
    run.plan(stages, 2)
    one, other = run.begin("convert", "rk3576"), run.begin("convert", "rk3588")
    assert (one.number, other.number, one.title) == (1, 2, "rk3576: convert")
    assert seconds_of(run) == 30
    at(run, 10)
    assert seconds_of(run) == 20


def test_a_command_of_one_stage_has_no_plan() -> None:
    run = RunClock(Clock())
    stage = run.begin("convert")
    stage.activity.step("simulate", 0, 4)
    at(run, 2)
    stage.activity.step("simulate", 1, 4)
    assert (stage.number, run.left_text(stage)) == (0, "about 6 s left")


SIMULATED, SAMPLES, BUILD = 20.0, 40, 10.0  # seconds of the samples, how many, and before them


def convert_in_builds(log: LogLines, clock: Clock, builds: int) -> None:
    """A stage that tries so many builds, as convert does, in time of its own."""
    log.stage("convert")
    for number in range(1, builds + 1):
        prefix = f"build {number}, " if number > 1 else ""
        log.step(f"{prefix}build", 0)
        clock.now += BUILD
        for done in range(SAMPLES + 1):
            log.step(f"{prefix}simulate", done, SAMPLES)
            clock.now += SIMULATED / SAMPLES
    log.finish()


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time of all that tells of it."""
    clock = Clock()
    monkeypatch.setattr("time.monotonic", clock)
    monkeypatch.setattr(progress_log, "_SAY_EVERY", 10.0)
    return clock


def test_a_first_run_with_several_builds_promises_nothing(
    simulated: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    log = LogLines(ShownOnce(), RunClock())
    log.plan([ExpectedStage("baseline"), ExpectedStage("convert"), ExpectedStage("check")])
    log.stage("baseline")
    convert_in_builds(log, simulated, 3)
    lines = capsys.readouterr().err.splitlines()
    assert len(set(lines)) == len(lines)
    assert lines[:2] == [
        "rockpress: baseline (1 of 3), time left unknown",
        "rockpress: convert (2 of 3)",
    ]
    steps = [line.removeprefix("rockpress: convert: ") for line in lines[2:]]
    assert steps == [
        f"{prefix}simulate {said}"
        for prefix in ("", "build 2, ", "build 3, ")
        for said in ("20/40, about 10 s left of this step", "40/40")
    ]


def test_a_count_is_told_that_has_no_end(
    simulated: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    log = LogLines(ShownOnce(), RunClock())
    log.stage("search")
    for done in (0, 1, 3):
        log.step("points", done)
        simulated.now += 8
    assert capsys.readouterr().err.splitlines() == [
        "rockpress: search",
        "rockpress: search: points 3",
    ]


def test_a_note_is_told_once_of_all_targets(capsys: pytest.CaptureFixture[str]) -> None:
    log = LogLines(ShownOnce(), RunClock())
    for text in ("family a: std 255", "family a: std 255", "family b: std 255"):
        log.of("rk3588").note(text)
    assert capsys.readouterr().err.splitlines() == [
        "rockpress: family a: std 255",
        "rockpress: family b: std 255",
    ]


def test_more_builds_than_before_are_told_as_a_bound(
    simulated: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Never less than is left in truth, but where it is called a bound, and that is one."""
    log = LogLines(ShownOnce(), RunClock())
    whole = BUILD + SIMULATED * (1 + 1 / SAMPLES)
    log.plan([ExpectedStage("convert", "", whole, True), ExpectedStage("check", "", 5, True)])
    convert_in_builds(log, simulated, 3)
    log.stage("check")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "rockpress: convert (1 of 2), about 36 s left",
        "rockpress: convert: simulate 20/40, about 16 s left",
        "rockpress: convert: simulate 40/40, about 6 s left",
        "rockpress: convert: build 2, simulate 20/40, at least 15 s left",
        "rockpress: convert: build 2, simulate 40/40, at least 5 s left",
        "rockpress: convert: build 3, simulate 20/40, at least 15 s left",
        "rockpress: convert: build 3, simulate 40/40, at least 5 s left",
        "rockpress: check (2 of 2), about 14 s left",
    ]
