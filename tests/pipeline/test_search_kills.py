"""Searches killed at random moments, by a seed: none loses, changes or repeats anything."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

import toy_search
from toy_search import recorded_trials

pytest.importorskip("optuna")
_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_SECONDS = 300  # for what takes a few, on a machine that is busy
_PROGRAM = toy_search.__file__
_TRIAL = str(toy_search.PROGRAM[0])


class KilledSearch:
    """A search of the toy in a folder, which goes on after each kill."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trials, self.log = folder / "trials.jsonl", folder / "log.txt"
        toy_search.prepare(folder)

    def whole(self) -> object:
        """Let it come to its end; return the front, and check that nothing is measured again."""
        before, begun = recorded_trials(self.trials), len(self._begun())
        process = self._started()
        _, said = process.communicate(timeout=_SECONDS)
        assert process.returncode == 0, said
        assert before.isdisjoint(self._begun()[begun:])
        return json.loads((self.folder / "front.json").read_text())

    def kill(self, choice: random.Random) -> None:
        """Let it go on until some rungs are measured; then end it, or a trial, at a moment."""
        before, begun = recorded_trials(self.trials), len(self._begun())
        process = self._started()
        more = len(before) + choice.randint(0, 3)
        _wait(lambda: process.poll() is not None or len(recorded_trials(self.trials)) >= more)
        time.sleep(choice.uniform(0, 0.3))
        if choice.random() < 0.3:
            for trial in self._processes(_TRIAL):
                with suppress(psutil.Error):
                    trial.kill()
            time.sleep(choice.uniform(0, 0.3))
        number = choice.choice(_SIGNALS)
        process.send_signal(number)
        _, said = process.communicate(timeout=_SECONDS)
        assert process.returncode in (0, -number, 128 + number), said
        _wait(lambda: not list(self._processes("")))  # orphans end by themselves
        assert before <= recorded_trials(self.trials)
        assert before.isdisjoint(self._begun()[begun:])

    def _started(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, _PROGRAM, str(self.folder)],
            env={**os.environ, "TOY_SECONDS": "0.1", "PYTHONPATH": os.pathsep.join(sys.path)},
            stderr=subprocess.PIPE,
            text=True,
        )

    def _begun(self) -> list[str]:
        """Return the folder of each trial that has begun: the point and its rung."""
        return self.log.read_text().split()

    def _processes(self, program: str) -> Iterator[psutil.Process]:
        """Yield those of this search that run a program, "" for any."""
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                is_own = process.environ().get("TOY_LOG") == str(self.log)
                words = " ".join(process.cmdline())
                is_there = process.status() != "zombie" and program in words
                if is_own and is_there:
                    yield process


def _wait(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + _SECONDS
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def killed(folder: Path, kills: int, seed: int) -> None:
    """Compare the front of a search after so many kills with that of one which nobody disturbs."""
    choice = random.Random(seed)
    search = KilledSearch(folder / "killed")
    for _ in range(kills):
        search.kill(choice)
    assert search.whole() == KilledSearch(folder / "whole").whole()


def test_four_kills_change_nothing(tmp_path: Path) -> None:
    killed(tmp_path, 4, 1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [2, 3])
def test_twenty_kills_change_nothing(seed: int, tmp_path: Path) -> None:
    killed(tmp_path, 20, seed)
