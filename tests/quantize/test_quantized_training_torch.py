"""A quantized model in torch gives what ONNX Runtime gives, and training makes it better."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto

from commands import Run
from graphs import Samples, random_feeds
from rockpress.calibration_data.bundled import CALIBRATION, DEMO_PREPROCESS, MODEL, sample_path
from rockpress.core.graphs.graph import Graph
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.core.training.schedule import Schedule
from rockpress.core.training.torch_graph import TorchGraph
from rockpress.core.types import Array
from rockpress.quantize.quantize import QuantizeResult, quantize
from rockpress.quantize.rendering.plan import read_plan
from rockpress.quantize.training import quantized_training, train
from rockpress.quantize.trials.method_selection import Verdict
from trained_nets import residual_net
from training_steps import Steps, Stopped

pytestmark = pytest.mark.torch

FLOAT = residual_net()
LEARNT, UNSEEN, OTHERS = (
    random_feeds(FLOAT, count, seed) for count, seed in ((64, 1), (24, 2), (64, 3))
)


def quantized(folder: Path, scheme: str, steps: int, **how: Any) -> QuantizeResult:
    how = {"scheme": scheme, "method": "min-max", **how}
    schedule = Schedule(steps, math.inf) if steps else None
    paths = folder / f"{steps}.onnx", folder / f"{steps}.plan.toml"
    return quantize(FLOAT, *paths, LEARNT, UNSEEN, schedule=schedule, **how)


def outputs(model: ModelProto | Path, feeds: Samples) -> list[Array]:
    return Session(model, optimise=False).stacked(feeds)


@pytest.mark.parametrize("scheme", ["w8a8", "w4a16"])
def test_a_quantized_graph_in_torch(scheme: str, tmp_path: Path) -> None:
    import torch

    model = onnx.load(str(quantized(tmp_path, scheme, 0).path))
    feeds = {"x": torch.from_numpy(np.stack([each["x"] for each in OTHERS]))}
    (values,) = TorchGraph(model, [])(feeds)
    wanted = outputs(model, OTHERS)
    # a value at the border of two steps may differ
    assert sqnr_db(wanted, [values.flatten(0, 1).numpy()]) > 45


def test_training_makes_weights_of_four_bits_better(tmp_path: Path) -> None:
    plain, trained = (quantized(tmp_path, "w4a16", steps) for steps in (0, 60))
    assert plain.training is None
    figure = trained.training
    assert figure is not None
    assert figure.kept
    assert figure.loss_after < figure.loss_before
    assert figure.sqnr_before == pytest.approx(trained.plan.candidates["min-max"])
    assert figure.sqnr_after > figure.sqnr_before
    assert (figure.steps, figure.samples, figure.held_out) == (60, 64, 24)
    reference = outputs(FLOAT, OTHERS)
    before, after = (sqnr_db(reference, outputs(each.path, OTHERS)) for each in (plain, trained))
    assert after > before + 0.5
    sources = {entry.source for entry in read_plan(trained.plan_path).weights.values()}
    assert sources == {"min-max, trained"}


def test_training_begins_with_what_was_refitted(tmp_path: Path) -> None:
    rounded, refitted = (
        quantized(tmp_path, "w4a16", 1, method=method).training
        for method in ("min-max", "gptq-refit")
    )
    assert rounded is not None
    assert refitted is not None
    assert refitted.sqnr_before > rounded.sqnr_before + 20
    assert refitted.loss_before < 0.01 * rounded.loss_before


def test_trained_weights_of_four_bits_are_on_the_grid_that_the_toolkit_finds(
    tmp_path: Path,
) -> None:
    graph = Graph(onnx.load(str(quantized(tmp_path, "w4a16", 30).path)))
    layers = [node for node in graph.nodes if node.op_type in ("Conv", "Gemm")]
    for node in layers:
        weight = graph.weights[node.input[1]]
        rows = weight.reshape(len(weight), -1) if node.op_type == "Conv" else weight.T
        if weight.shape[1:] == (1, 3, 3):
            continue  # in float
        steps = rows / (np.abs(rows).max(axis=1, keepdims=True) / 7)
        assert np.allclose(steps, steps.round(), atol=1e-4)


def test_trained_int8_is_qdq_of_the_same_form(tmp_path: Path) -> None:
    plain, trained = (quantized(tmp_path, "w8a8", steps) for steps in (0, 20))
    before, after = (Graph(onnx.load(str(each.path))) for each in (plain, trained))
    assert [node.op_type for node in before.nodes] == [node.op_type for node in after.nodes]
    for name, value in before.weights.items():
        assert after.weights[name].dtype == value.dtype
        if value.dtype == np.int8:
            assert np.abs(after.weights[name].astype(int)).max() <= 128
    scales = [name for name in before.weights if name.endswith(("x.scale", "x.zero_point"))]
    assert scales
    for name in scales:  # activations stay as the plan has them
        assert np.array_equal(before.weights[name], after.weights[name])


def test_what_is_no_better_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantized_training, "_PLAIN_RATE", 1e-12)
    monkeypatch.setattr(quantized_training, "_SCALE_RATE", 1e-12)
    monkeypatch.setattr(quantized_training, "_STEP_RATE", 1e-12)
    plain, trained = (quantized(tmp_path, "w8a8", steps) for steps in (0, 3))
    assert trained.training is not None
    assert not trained.training.kept
    assert plain.path.read_bytes() == trained.path.read_bytes()
    assert plain.plan_path.read_bytes() == trained.plan_path.read_bytes()


def test_the_seed_decides_the_result(tmp_path: Path) -> None:
    files = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        files.append(quantized(tmp_path / name, "w4a16", 10).path.read_bytes())
    assert files[0] == files[1]


@pytest.mark.parametrize(("scheme", "steps"), [("w4a16", 60), ("w8a8", 120)])
def test_a_stopped_training_goes_on_to_the_same_result(
    scheme: str, steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the trained model, also where it is not better by more than chance, as in int8
    monkeypatch.setattr(train, "verdict_on", lambda trials, metric: Verdict("trained", "sqnr"))
    (tmp_path / "stopped").mkdir()
    checkpoint = tmp_path / "checkpoint.pt"
    whole = quantized(tmp_path, scheme, steps)
    assert whole.training is not None
    assert whole.training.kept
    stop, more = Steps(stop=steps - 5), Steps()
    with pytest.raises(Stopped):
        quantized(tmp_path / "stopped", scheme, steps, progress=stop, checkpoint=checkpoint)
    assert list((tmp_path / "stopped").iterdir()) == []
    again = quantized(tmp_path / "stopped", scheme, steps, progress=more, checkpoint=checkpoint)
    assert more.steps[0][0] == (steps - 5) // 50 * 50  # the last look before the stop
    assert again.path.read_bytes() == whole.path.read_bytes()
    assert again.plan_path.read_bytes() == whole.plan_path.read_bytes()
    assert again.training is not None
    assert replace(again.training, seconds=0.0) == replace(whole.training, seconds=0.0)


def test_a_model_that_was_quantized_otherwise_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(Stopped):
        quantized(tmp_path, "w8a8", 60, progress=Steps(stop=55), checkpoint=checkpoint)
    how = {"method": "gptq", "progress": (progress := Steps()), "checkpoint": checkpoint}
    result = quantized(tmp_path, "w8a8", 60, **how)
    assert progress.steps[0][0] == 0
    other = quantized(tmp_path / "other", "w8a8", 60, method="gptq")
    assert result.path.read_bytes() == other.path.read_bytes()


def test_quantize_trains(rockpress: Run, tmp_path: Path) -> None:
    how = ["--mean", str(DEMO_PREPROCESS.mean[0]), "--std", str(DEMO_PREPROCESS.std[0])]
    calib = ["--calib", sample_path(CALIBRATION), "--calib-count", "48", *how]
    output = tmp_path / "o.onnx"
    more = ["-o", output, "--scheme", "w4a16", "--target", "rk3576"]
    more += ["--json", "--train", "distill", "--train-steps", "6", "--train-time", "off"]
    code, out, err = rockpress("quantize", sample_path(MODEL), *calib, *more)
    assert code == 0, err
    found = json.loads(out)["training"]
    assert found["steps"] == 6
    assert "training-few-samples" in err
    assert ("training-not-kept" in err) != found["kept"]
