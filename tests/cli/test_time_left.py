"""How long it goes on: from the steps so far, and never longer than the work may take."""

from __future__ import annotations

import io
import re
import sys
import time
from collections.abc import Iterator

import pytest

from rockpress.cli import progress_log
from rockpress.cli.progress_display import watching
from rockpress.cli.time_left import TimeLeft
from rockpress.core.progress import Progress
from rockpress.pipeline.parallel import _Stoppable


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_it_is_capped_by_the_time_that_the_work_may_take() -> None:
    clock = Clock()
    free, capped = TimeLeft(clock=clock), TimeLeft(300, clock)
    for left in (free, capped):
        left.step("sensitivity", 0, 213)
    assert (str(free), str(capped)) == ("", "at most 5 min left")
    clock.now = 60
    for left in (free, capped):
        left.step("sensitivity", 9, 213)
    assert (str(free), str(capped)) == ("about 23 min left", "at most 4 min left")
    clock.now = 120
    for left in (free, capped):
        left.step("sensitivity", 180, 213)
    assert (str(free), str(capped)) == ("about 22 s left", "about 22 s left")
    clock.now = 130
    assert str(free) == "about 12 s left"
    capped.step("compare", 0, 4)
    assert str(capped) == "at most 3 min left"
    clock.now = 400
    assert str(capped) == "at most 0 s left"


def test_what_goes_on_after_its_last_step_is_not_said_to_be_over() -> None:
    now = [0.0]
    left = TimeLeft(clock=lambda: now[0])
    left.step("evaluate", 0, 200)
    now[0] = 10.0
    left.step("evaluate", 100, 200)
    assert str(left) == "about 10 s left"
    now[0] = 25.0
    assert str(left) == ""
    left.step("evaluate", 200, 200)
    assert str(left) == ""


class Terminal(io.StringIO):
    """A text that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def steps(progress: Progress) -> None:
    progress.stage("quantize")
    limited = progress.before(time.monotonic() + 250)
    limited.step("sensitivity", 0, 1_000_000)
    time.sleep(0.02)
    limited.step("sensitivity", 1, 1_000_000)


@pytest.fixture
def every_line(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(progress_log, "_SAY_EVERY", 0.0)
    yield


def test_a_log_and_a_terminal_tell_it(
    every_line: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with watching(quiet=False) as progress:
        steps(progress)
        progress.step("compare", 1, 2)
    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == "rockpress: quantize: sensitivity 1/1000000, at most 4 min left"
    assert re.fullmatch(r"rockpress: quantize: compare 1/2(, about \d+ s left)?", lines[2])

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with watching(quiet=False) as progress:
        steps(progress)
        time.sleep(0.6)  # until it is drawn again
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert "0 s elapsed, at most 4 min left" in plain


def test_targets_side_by_side_pass_it_on() -> None:
    import threading

    class Kept(Progress):
        def before(self, deadline: float) -> Progress:
            deadlines.append(deadline)
            return self

    deadlines: list[float] = []
    _Stoppable(Kept(), threading.Event()).before(7.0).step("a", 0)
    assert deadlines == [7.0]
