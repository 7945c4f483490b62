"""How close a pruned model stays is said of samples that its repair did not see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from commands import Run
from graphs import model_of, random_weights
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.core.graphs.model import load_model, save_model
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from samples import save_feeds

# as wide as there are samples, so that a fit to them says nothing of others
WIDE = """(float[1,24] x) => (float[1,16] y) {
    a = Gemm <transB=1> (x, w1, b1)
    r = Relu (a)
    b = Gemm <transB=1> (r, w2, b2)
    s = Relu (b)
    y = Gemm <transB=1> (s, w3, b3) }"""
SHAPES = {
    **{"w1": (96, 24), "b1": (96,), "w2": (96, 96), "b2": (96,)},
    **{"w3": (16, 96), "b3": (16,)},
}
MORE = {
    "channels": ["--prune", "macs=-40%"],
    "rounds": ["--prune", "macs=-40%", "--rounds", "2"],
    "sparse": ["--sparsity", "2:4", "--target", "rk3576"],
    "both": ["--prune", "macs=-30%", "--sparsity", "2:4", "--target", "rk3576"],
    "drop": ["--max-drop", "0.6"],
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.onnx"
    onnx.save(model_of(WIDE, random_weights(SHAPES, scale=1 / 4), prepared=False), path)
    return path


def feeds(count: int, seed: int) -> list[dict[str, Any]]:
    rows = np.random.default_rng(seed).standard_normal((count, 1, 24)).astype(np.float32)
    return [{"x": row} for row in rows]


def decibels(first: Path, second: Path, samples: list[dict[str, Any]]) -> float:
    outputs = [Session(load_model(path)).stacked(samples) for path in (first, second)]
    return sqnr_db(*outputs)


@pytest.mark.parametrize("way", MORE)
def test_the_figure_is_that_of_other_samples(
    way: str, model: Path, tmp_path: Path, rockpress: Run
) -> None:
    calib, small = save_feeds(tmp_path / "calib.npz", feeds(64, 1)), tmp_path / "p.onnx"
    ended = rockpress("prune", model, "-o", small, "--calib", calib, *MORE[way], "--json")
    assert ended.code == 0, ended.err
    document = json.loads(ended.out)
    unseen, fresh = document["unseen"], decibels(model, small, feeds(400, 2))
    assert unseen["samples"] == (32 if way == "drop" else 16)
    # it was 10 dB and more above
    assert unseen["sqnr_db"] == pytest.approx(fresh, abs=2.5)
    (part,) = document["parts"]
    assert part["sqnr_db"] == pytest.approx(unseen["sqnr_db"])


def test_the_screen_says_so_and_few_samples_are_warned_of(
    model: Path, tmp_path: Path, rockpress: Run
) -> None:
    for count, told in ((40, " on 10 held-out samples"), (2, " on the 2 samples that it was")):
        calib, small = save_feeds(tmp_path / "calib.npz", feeds(count, 1)), tmp_path / "p.onnx"
        ended = rockpress("prune", model, "-o", small, "--calib", calib, *MORE["channels"])
        assert ended.code == 0, ended.err
        assert told in ended.out.splitlines()[0]
        assert ("[pruning-few-samples]" in ended.err) == (count < 32)


@pytest.mark.parametrize("broken", ["twin.onnx", "p.onnx"])
def test_what_is_not_finite_replaces_no_file(
    broken: str, model: Path, tmp_path: Path, rockpress: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the model that is written, nor the one that is compared, may give NaN."""

    def save(pruned: onnx.ModelProto, path: Path) -> None:
        for tensor in pruned.graph.initializer if path.name == broken else ():
            huge = numpy_helper.from_array(np.full(tuple(tensor.dims), 3e38, np.float32))
            tensor.raw_data = huge.raw_data
        save_model(pruned, path)

    monkeypatch.setattr("rockpress.prune.prune.save_model", save)
    calib, small = save_feeds(tmp_path / "calib.npz", feeds(40, 1)), tmp_path / "p.onnx"
    ended = rockpress("prune", model, "-o", small, "--calib", calib, *MORE["channels"])
    assert ended.code == 1 and "gives NaN or infinite values" in ended.err
    assert not small.exists()


@pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")
def test_a_run_on_the_calibration_samples_says_so(
    model: Path, tmp_path: Path, rockpress: Run
) -> None:
    calib = save_feeds(tmp_path / "calib.npz", feeds(40, 1))
    others = save_feeds(tmp_path / "eval.npz", feeds(40, 2))
    line = ["run", model, "--calib", calib, *MORE["channels"], "--method", "min-max"]
    for more, is_told in ((["--eval", others], False), ([], True)):
        out = tmp_path / f"out{is_told}"
        ended = rockpress(*line, *more, "-o", out)
        assert ended.code == 0, ended.err
        (target,) = json.loads((out / "report.json").read_text())["targets"]
        codes = [warning["code"] for warning in target["warnings"]]
        assert ("calibration-overlap" in codes) == is_told
        assert ("compared on the calibration samples" in ended.out.splitlines()[0]) == is_told
        assert " on 10 held-out samples" in ended.out
        assert target["pruning"]["unseen"]["samples"] == 10
