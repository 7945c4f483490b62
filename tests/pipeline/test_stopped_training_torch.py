"""A command that is stopped while it trains goes on where it was, as its file in the cache is."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from commands import COMMAND, Run
from rockpress.calibration_data.bundled import CALIBRATION, DEMO_PREPROCESS, MODEL, sample_path
from rockpress.core.training.training_loop import TrainingLoop
from rockpress.pipeline.caching.cache_folder import cache_folder
from rockpress.pipeline.caching.stage_cache import Cache
from rockpress.quantize.training import train

pytestmark = pytest.mark.torch

HOW = ["--mean", DEMO_PREPROCESS.mean[0], "--std", DEMO_PREPROCESS.std[0], "--json", "--quiet"]
DEMO = [sample_path(MODEL), "--calib", sample_path(CALIBRATION), "--calib-count", 64, *HOW]
PRUNE = ["prune", *DEMO, "--prune", "macs=-75%", "--recover", "distill"]
PRUNE += ["--recover-steps", 60, "--recover-time", "off"]
QUANTIZE = ["quantize", *DEMO, "--scheme", "w4a16", "--target", "rk3576", "--method", "min-max"]
QUANTIZE += ["--train", "distill", "--train-steps", 60, "--train-time", "off"]
# The signal comes once the state of a step is in the file, and training waits for it there.
STOPPED = """
import os, signal, time
from rockpress.cli.entry import main
from rockpress.core.training.checkpoint import Checkpoint
write = Checkpoint.write

def stop(self, state):
    write(self, state)
    os.kill(os.getppid(), signal.{})
    time.sleep(60)

Checkpoint.write = stop
main()
"""


def checkpoints() -> list[Path]:
    return list(cache_folder().rglob("checkpoint.pt"))


@pytest.mark.parametrize(
    ("command", "number"),
    [(PRUNE, signal.SIGINT), (QUANTIZE, signal.SIGTERM)],
    ids=["prune, Ctrl-C", "quantize, terminated"],
)
def test_a_signal_leaves_the_state_and_the_same_command_goes_on_with_it(
    command: list[object], number: signal.Signals, tmp_path: Path
) -> None:
    def ended(*start: str, output: str) -> tuple[int, str]:
        line = [*start, *map(str, command), "-o", str(tmp_path / output)]
        done = subprocess.run(line, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout

    assert ended(*COMMAND, output="whole.onnx")[0] == 0
    assert checkpoints() == []
    code, _ = ended(sys.executable, "-c", STOPPED.format(number.name), output="o.onnx")
    assert code == 128 + number
    assert len(checkpoints()) == 1
    assert not (tmp_path / "o.onnx").exists()
    code, out = ended(*COMMAND, output="o.onnx")
    assert code == 0
    assert json.loads(out)["training" if command is QUANTIZE else "distillation"]["steps"] == 60
    assert (tmp_path / "o.onnx").read_bytes() == (tmp_path / "whole.onnx").read_bytes()
    assert Cache(cache_folder()).entries() == []


def test_a_run_goes_on_with_the_training_of_the_quantized_model(
    rockpress: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keep_best, steps = TrainingLoop._keep_best, list[int]()

    def stop(self: TrainingLoop) -> None:
        keep_best(self)
        steps.append(self.step)
        if len(steps) % 2 == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(train, "_INTERVAL", 2)
    monkeypatch.setattr(TrainingLoop, "_keep_best", stop)
    line = ["run", *QUANTIZE[1:], "-o", tmp_path]
    for more in ([], [], ["--force"]):
        assert rockpress(*line, *more)[0] == 130
    # step 2 was kept, and 4 was not yet; with --force it begins anew
    assert steps == [2, 4, 4, 6, 2, 4]
