"""Whatever runs a model sees the same tensors, in the same order."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from fake_board import FakeBoard, loaded, stored, tensor
from graphs import model_of
from rockpress.accuracy.board_runner import BoardRunner
from rockpress.accuracy.runners import Runner, run_onnxruntime
from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.calibration_data.samples import Samples, open_samples
from rockpress.cli import progress_display
from rockpress.convert.chips.targets import find_target
from rockpress.convert.convert import convert
from rockpress.core.progress import SILENT, Progress
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.tasks.converting import NpuFeeds, conversion_request
from samples import pixels

INPUT = {"x": (1, 3, 6, 8)}
# Powers of two, so that float16 holds every value that there can be.
HOW: dict[str, Any] = {"mean": (16, 32, 64), "std": (2, 4, 8), "resize": "letterbox"}


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    """y = x, as a convolution, since the toolkit wants one."""
    kernel = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    text = "(float[1,3,6,8] x) => (float[1,3,6,8] y) { y = Conv (x, w) }"
    onnx.save(model_of(text, {"w": kernel}, prepared=False), tmp_path / "identity.onnx")
    return tmp_path / "identity.onnx"


def samples_in(folder: Path, count: int) -> Samples:
    np.save(folder / "images.npy", pixels(count, 9, 5, 3))
    return open_samples(folder / "images.npy", INPUT, Preprocessing(**HOW))


def on_a_board(samples: Samples, *, progress: Progress = SILENT) -> list[Any]:
    """What a board is sent; mean and std are inside its model."""
    how = samples.npu_preprocess
    assert how is not None
    mean, std = (np.asarray(values, np.float32) for values in (how.mean, how.std))
    board = FakeBoard(lambda sent: [stored(((sent[0] - mean) / std).transpose(0, 3, 1, 2))])
    x, y = tensor("x", 1, 6, 8, 3, format="NHWC"), tensor("y", 1, 3, 6, 8, format="NCHW")
    outputs = BoardRunner(board, loaded([x], [y]), ["x"])(samples, progress=progress)
    assert {(x.dtype.str, x.shape) for (x,) in board.fed} == {("|u1", (1, 6, 8, 3))}
    return outputs


def simulator(model: Path, jobs: int) -> Runner:
    def run(samples: Samples, *, progress: Progress = SILENT) -> list[Any]:
        chip, recipe = find_target("rk3588"), make_recipe(model, jobs=jobs)
        request = conversion_request(recipe.toolkit, model, None, chip, samples.npu_preprocess)
        made = convert(replace(request, simulate=NpuFeeds(samples)))
        assert made.outputs is not None
        return [*made.outputs]

    return run


def test_all_runners_see_identical_tensors(identity: Path, tmp_path: Path) -> None:
    samples = samples_in(tmp_path, 20)
    simulators = [simulator(identity, jobs) for jobs in (1, 3)]
    runners: Sequence[Runner] = [partial(run_onnxruntime, identity), on_a_board, *simulators]
    expected = np.concatenate([feeds["x"] for feeds in samples])
    assert np.abs(expected).max() > 10 and len(np.unique(expected)) > 100
    for runner in runners:
        (found,) = runner(samples)
        np.testing.assert_array_equal(found, expected)


def test_a_log_says_now_and_then_how_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    with progress_display.watching(quiet=False) as progress:
        progress.stage("baseline")
        for done in range(1, 101):
            clock[0] += 1
            progress.step("evaluate", done, 400)
        progress.step("other", 1, None)
        progress.of("rk3588").cached("quantize")
    assert written.getvalue().splitlines() == [
        "rockpress: baseline",
        "rockpress: baseline: evaluate 31/400, about 6 min left",
        "rockpress: baseline: evaluate 61/400, about 6 min left",
        "rockpress: baseline: evaluate 91/400, about 5 min left",
        "rockpress: rk3588: quantize: cached",
    ]
