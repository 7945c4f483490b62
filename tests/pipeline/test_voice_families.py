"""Models of a stream: states that the samples do not hold, and the detectors of voice activity."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto

from commands import Run
from graphs import model_of
from rockpress.calibration_data.samples import Samples
from rockpress.core.errors import SamplesError
from rockpress.core.session import Session
from rockpress.core.types import Array
from rockpress.pipeline.filled_recipe import fill_recipe
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.samples.ready_model import ready_model
from trained_exports import fsmn, silero

# two states of one shape, which the outputs have in the order of the inputs
CELL = """(float[1,4] x, float[1,3] h_in, float[1,3] c_in)
    => (float[1,3] y, float[1,3] h_out, float[1,3] c_out) {
    m = MatMul (x, w) a = Add (m, h_in) h_out = Tanh (a) b = Mul (c_in, decay)
    c_out = Add (b, h_out) s = Sigmoid (c_out) y = Mul (s, h_out) }"""
Y_APART = CELL.replace("float[1,3] y", "float[1,6] y").replace(
    "y = Mul (s, h_out)", "y = Concat <axis = 1> (s, h_out)"
)


def cell() -> ModelProto:
    return model_of(Y_APART, {"w": (4, 3), "decay": np.array(0.5)}, prepared=False)


def opened(model: ModelProto, folder: Path, arrays: Any, **options: Any) -> Samples:
    onnx.save(model, folder / "m.onnx")
    path = folder / ("x.npz" if isinstance(arrays, dict) else "x.npy")
    np.savez(path, **arrays) if isinstance(arrays, dict) else np.save(path, arrays)
    filled = fill_recipe(make_recipe(folder / "m.onnx", calib=path, **options), "run").recipe
    return ready_model(filled.model, filled.shape).samples(path, filled.preprocessing)


def frames(count: int = 6, width: int = 4, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)


@pytest.mark.parametrize("named", [True, False])
def test_states_are_those_of_the_float_model(named: bool, tmp_path: Path) -> None:
    x = frames()
    samples = opened(cell(), tmp_path, {"x": x} if named else x)
    session = Session(cell())
    h = c = np.zeros((1, 3), np.float32)
    for index, feeds in enumerate(samples):
        assert list(feeds) == ["x", "h_in", "c_in"]
        np.testing.assert_array_equal(feeds["h_in"], h)
        np.testing.assert_array_equal(feeds["c_in"], c)
        _, h, c = session.run({"x": x[index : index + 1], "h_in": h, "c_in": c})
    assert np.abs(h).max() > 0.1


def test_the_states_before_a_sample_are_part_of_it(tmp_path: Path) -> None:
    same = np.repeat(frames(1), 4, axis=0)
    samples = opened(cell(), tmp_path, same)
    digests = {samples.source.content_digest(index) for index in range(4)}
    assert len(digests) == 4
    some = samples.take(2)
    assert [len(some), *(feeds["h_in"].shape for feeds in some)] == [2, (1, 3), (1, 3)]


def test_states_that_the_samples_hold_are_taken_as_they_are(tmp_path: Path) -> None:
    held = {"x": frames(), "h_in": np.ones((6, 3)), "c_in": np.ones((6, 3))}
    assert all((feeds["h_in"] == 1).all() for feeds in opened(cell(), tmp_path, held))


@pytest.mark.parametrize(
    ("text", "arrays"),
    [
        # an output of its shape, but none that is called like it
        ("(float[1,4] x, float[1,4] scale) => (y) { y = Mul (x, scale) }", {"x": frames()}),
        # two outputs of the shape of one input
        (
            "(float[1,4] x, float[1,2] h) => (hn, hm) { s = ReduceMean (x) "
            "hn = Add (h, s) hm = Sub (h, s) }",
            {"x": frames()},
        ),
        (CELL, {"x": frames(), "other": frames()}),
    ],
)
def test_inputs_that_are_no_states_have_to_be_there(
    text: str, arrays: dict[str, Array], tmp_path: Path
) -> None:
    model = model_of(text, {"w": (4, 3), "decay": np.array(0.5)}, prepared=False)
    with pytest.raises(SamplesError, match="but the model's inputs are"):
        opened(model, tmp_path, arrays)


FAMILIES: dict[str, tuple[ModelProto, str, dict[str, Any], int]] = {
    "silero": (
        silero(),
        "silero-vad",
        {"input.input": [1, 576], "input.state": [2, 1, 128], "constant.sr": 16000},
        576,
    ),
    "silero of one rate": (
        silero(rate=False),
        "silero-vad",
        {"input.input": [1, 576], "input.state": [2, 1, 128]},
        576,
    ),
    "silero v4": (
        silero(states=("h", "c")),
        "silero-vad",
        {
            **{"input.input": [1, 512], "input.c": [2, 1, 64], "input.h": [2, 1, 64]},
            "constant.sr": 16000,
        },
        512,
    ),
    "fsmn": (
        fsmn(),
        "fsmn-vad",
        {"metric_option.silence": "0", "input.speech": [1, 1, 400]},
        400,
    ),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_detector_of_voice_activity_needs_nothing_but_frames(
    name: str, tmp_path: Path, rockpress: Run
) -> None:
    model, family, settings, width = FAMILIES[name]
    onnx.save(model, tmp_path / "vad.onnx")
    recipe = make_recipe(tmp_path / "vad.onnx")
    taken = fill_recipe(recipe, "run").family
    assert taken is not None and taken.name == family
    values = {each.option: each.value for each in taken.taken}
    assert values == {"metric": "vad", **settings}
    x = frames(40, width) * np.repeat([0.01, 3.0], 20)[:, None].astype(np.float32)
    shaped = x[:, None] if family == "fsmn-vad" else x
    frame = "speech" if family == "fsmn-vad" else "input"
    labels = np.repeat([0.0, 1.0], 20)
    np.savez(tmp_path / "eval.npz", **{frame: shaped}, labels=labels)
    np.save(tmp_path / "calib.npy", shaped)
    quantized = tmp_path / "q.onnx"
    line = ["quantize", tmp_path / "vad.onnx", "--calib", tmp_path / "calib.npy", "-o", quantized]
    done = rockpress(*line, "--method", "min-max", "--mixed", "off", "--json")
    assert done.code == 0, done.err
    line = ["check", tmp_path / "vad.onnx", quantized, "--eval", tmp_path / "eval.npz", "--json"]
    done = rockpress(*line)
    assert done.code in (0, 4), done.err
    (target,) = json.loads(done.out)["targets"]
    assert target["retention"]["metric"] == "vad" and target["retention"]["samples"] == 40


def test_other_streams_are_no_detectors(tmp_path: Path) -> None:
    onnx.save(cell(), tmp_path / "m.onnx")
    assert fill_recipe(make_recipe(tmp_path / "m.onnx"), "run").family is None
