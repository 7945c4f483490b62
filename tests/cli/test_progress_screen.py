"""Progress on a terminal and in a log: finished stages stay, and every row fits."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from rockpress.cli import progress_screen
from rockpress.cli.progress_display import watching
from rockpress.cli.progress_log import ShownOnce
from rockpress.cli.run_clock import RunClock
from rockpress.core.diagnostics import Diagnostic
from rockpress.core.progress import ExpectedStage, Progress
from terminals import read_all

PLAN = [
    ExpectedStage("baseline", "", 3, is_measured=True),
    ExpectedStage("quantize", "", 200, is_measured=True),
    ExpectedStage("convert", "", 60, is_measured=True),
]
WALK = """
import time
NAMES = ("baseline", "quantize", "convert")
from rockpress.cli.progress_display import watching
from rockpress.core.progress import ExpectedStage
with watching(quiet=False) as progress:
    progress.plan([ExpectedStage(name, "", 40.0, True) for name in NAMES])
    progress.stage("baseline")
    progress.step("evaluate", 5, 10)
    time.sleep(0.4)
    progress.stage("quantize")
    progress.cached("quantize")
    progress.stage("convert")
    progress.before(time.monotonic() + 9).step("a very long activity of a stage", 1234, 5678)
    time.sleep(0.4)
"""


def walk(progress: Progress) -> None:
    progress.plan(PLAN)
    progress.stage("baseline")
    progress.step("evaluate", 1, 2)
    progress.stage("quantize")
    progress.cached("quantize")
    progress.stage("convert")
    progress.warn(Diagnostic("toolkit-nan", "a NaN"))


def test_a_log_has_each_stage_once(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(1000))
    monkeypatch.setattr("time.monotonic", lambda: float(next(times)))
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    with watching(quiet=False) as progress:
        walk(progress)
    lines = written.getvalue().splitlines()
    begun = [re.sub(r", (about|at least) \d+ (s|min) left", "", line) for line in lines[:-1]]
    assert begun == [
        "rockpress: baseline (1 of 3)",
        "rockpress: quantize (2 of 3)",
        "rockpress: convert (3 of 3)",
        "warning: a NaN [toolkit-nan]",
    ]
    total = r"rockpress: \d+ s in all: baseline \d+ s, quantize cached, convert \d+ s"
    assert re.fullmatch(total, lines[-1])


@pytest.fixture
def screen() -> Iterator[progress_screen.Screen]:
    now = iter(range(1000))
    screen = progress_screen.Screen(ShownOnce(), RunClock(lambda: next(now) / 1e3))
    screen.say = lambda line: None  # type: ignore[method-assign]
    yield screen


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_row_is_as_wide_as_the_terminal(width: int, screen: progress_screen.Screen) -> None:
    screen.plan(PLAN)
    screen.stage("quantize")
    screen.step("error of /model.22/cv2.0/conv/Conv", 9, 213)
    row = screen.text(width)
    assert len(row) == width
    assert row.endswith("  0 s elapsed, about 4 min left")
    assert ("━" in row) == (width > 60)
    assert "9/213" in row
    assert row.startswith("[1/3] quantize: ")


@pytest.mark.parametrize("width", [60, 80, 200])
def test_finished_stages_stay_on_a_terminal(width: int) -> None:
    """What the terminal shows at the end, in a real pty: a line for each stage, and no row."""
    master, slave = pty.openpty()
    environ = {**os.environ, "COLUMNS": str(width), "LINES": "24", "TERM": "xterm"}
    child = subprocess.Popen([sys.executable, "-c", WALK], stderr=slave, env=environ)
    os.close(slave)
    said = read_all(master)
    assert child.wait() == 0
    rows = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\n", said.decode()).replace("\r", "\n").splitlines()
    assert max(map(len, rows)) <= width
    left = [row for row in rows if re.match(r"\[\d/3\] \w+ +(\d+ s|cached)$", row)]
    assert [re.split(r" {2,}", row)[0] for row in left] == [
        "[1/3] baseline",
        "[2/3] quantize",
        "[3/3] convert",
    ]
    running = [row for row in rows if "elapsed" in row]
    assert any(row.startswith("[1/3] baseline: evaluate 5/10") for row in running)
    assert all(re.search(r"\d s elapsed, about \d+ (s|min) left$", row) for row in running)


def test_each_of_several_targets_has_a_row(screen: progress_screen.Screen) -> None:
    screen.plan([ExpectedStage("convert", name) for name in ("rk3588", "rk3576")], 2)
    children = [screen.of(name) for name in ("rk3588", "rk3576")]
    for child in children:
        assert isinstance(child, progress_screen.Screen)
        child.say = lambda line: None  # type: ignore[method-assign]
        child.stage("convert")
    rows = [row.text(60) for row in screen._rows if row.running is not None]
    assert [row.split("  ")[0].strip() for row in rows] == [
        "[1/2] rk3588: convert",
        "[2/2] rk3576: convert",
    ]
    children[0].end("done")
    assert [row.target for row in screen._rows if row.running is not None] == ["rk3576"]
