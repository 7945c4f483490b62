"""Ctrl-C in every stage of ``rockpress tune``: 130, the front so far, and the same result later."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import toy_search
import toy_tune
from toy_search import recorded_trials

pytestmark = pytest.mark.toolkit
pytest.importorskip("optuna")
_SECONDS = 300  # for what takes a few, on a machine that is busy
_SAMPLES = 1800
_RECIPE = """
scheme = "w8a8"
[tune]
prune = ["off", "latency=-20%", "latency=-40%"]
rounds = [1, 3]
method = ["auto"]
mixed = ["off"]
"""


class ToySearch:
    """The command in a folder of its own, with a toy in the place of each point's run."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder, self.hold = folder, folder / "hold"
        self.trials = folder / "out" / "trials.jsonl"
        self.places = {**toy_search.prepare(folder), "TOY_HOLD": str(self.hold)}
        # so many that the search goes by few of them first
        images = np.random.default_rng(0).integers(0, 255, (_SAMPLES, 32, 32, 3), np.uint8)
        np.savez(folder / "s.npz", images=images, labels=np.arange(_SAMPLES) % 10)
        named = f'model = "{model}"\ncalib = "s.npz"\neval = "s.npz"'
        (folder / "r.toml").write_text(named + _RECIPE)

    def started(self) -> subprocess.Popen[str]:
        words = ["tune", "r.toml", "-o", "out", "--workers", "2", "--pick", "retention=0.5"]
        return subprocess.Popen(
            [sys.executable, toy_tune.__file__, *words],
            cwd=self.folder,
            env={**os.environ, **self.places, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def interrupted_at(self, rung: str) -> dict[str, Any]:
        """Interrupt it when a trial of that rung is at work; return the report so far."""
        self.hold.write_text(rung)
        recorded, begun = recorded_trials(self.trials), len(self.begun())
        process = self.started()

        def is_there() -> bool:
            return rung in {toy_tune.rung_of(name) for name in self.begun()[begun:]}

        wait_until(lambda: is_there() or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=_SECONDS)
        assert process.returncode == 130, said
        assert said.splitlines()[-2] == "interrupted"
        wait_until(lambda: not self.is_at_work())
        assert recorded.isdisjoint(self.begun()[begun:])
        return self.report()

    def whole(self) -> dict[str, Any]:
        self.hold.unlink(missing_ok=True)
        recorded, begun = recorded_trials(self.trials), len(self.begun())
        process = self.started()
        _, said = process.communicate(timeout=_SECONDS)
        assert process.returncode == 0, said
        assert recorded.isdisjoint(self.begun()[begun:])
        return self.report()

    def begun(self) -> list[str]:
        return (self.folder / "log.txt").read_text().split()

    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self.folder / "out" / "tune.json").read_text())
        return {name: value for name, value in report.items() if name not in ("seconds", "model")}

    def is_at_work(self) -> bool:
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                is_own = process.environ().get("TOY_LOG") == self.places["TOY_LOG"]
                if is_own and process.status() != "zombie":
                    return True
        return False


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + _SECONDS
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_an_interrupt_in_any_stage_leaves_the_front_so_far(small_cnn: Path, tmp_path: Path) -> None:
    search = ToySearch(tmp_path / "interrupted", small_cnn)
    for rung in ("1", "2", "3", "toolkit"):
        so_far = search.interrupted_at(rung)
        assert so_far["points"]
        assert so_far["is_final"] == (rung == "toolkit")  # what stands beside the front comes last
        assert bool(so_far["front"]) == (rung in ("3", "toolkit"))
    assert search.whole() == ToySearch(tmp_path / "whole", small_cnn).whole()
