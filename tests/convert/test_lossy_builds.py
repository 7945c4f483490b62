"""A build that computes what was meant, but loses much on the way, is made another way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from graphs import model_of
from rockpress.convert import fallbacks
from rockpress.convert.build_attempt import BuildAttempt, best_of
from rockpress.convert.build_troubles import waiting_trouble
from rockpress.convert.chips.compiler_log import Layer
from rockpress.convert.chips.targets import find_target
from rockpress.convert.convert import Conversion
from rockpress.convert.fidelity import Closeness, Probe
from rockpress.convert.request import ToolkitSettings
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.convert.toolkit.job import BuildResult
from rockpress.convert.toolkit_build import ToolkitBuild
from rockpress.core.diagnostics import mentioned
from rockpress.pipeline.convert_file import convert_file
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import make_recipe

NO_PROBE = Probe(onnx.ModelProto(), None, (), Path("m.onnx"), 0)
needs_toolkit = pytest.mark.skipif(toolkit_version() is None, reason="needs rknn-toolkit2")


@pytest.mark.parametrize(
    ("closeness", "is_lossy"),
    [
        (Closeness(30.0, None, None), False),
        (Closeness(28.0, 22.5, 24.0), False),
        (Closeness(28.0, 20.5, 24.0), True),
        (Closeness(20.0, 41.0, 55.0), False),
        (Closeness(35.0, 36.0, 55.0), True),
        (Closeness(np.inf, np.inf, np.inf), False),
    ],
)
def test_what_is_lost_on_the_way(closeness: Closeness, is_lossy: bool) -> None:
    assert closeness.is_lossy is is_lossy


def attempt(level: int, float_db: float, code: str = "") -> BuildAttempt:
    path = Path("m.onnx")
    task = ToolkitBuild(
        model=path,
        loaded=onnx.ModelProto(),
        target=find_target("rk3588"),
        quantization="qdq",
        dtype="w8a8",
        plan=None,
        level=level,
        inputs=(),
        calibrated=0,
        simulated=0,
        folder=path,
        toolkit=ToolkitSettings(),
    )
    built = BuildResult(rknn=path, toolkit="2.5.0", log="", outputs=None)
    return BuildAttempt(task, built, closeness=Closeness(25.0, float_db, 30.0), code=code)


@pytest.mark.parametrize(
    ("first", "second", "level"),
    [
        (attempt(3, 25.0, "toolkit-fidelity"), attempt(2, 29.0), 2),
        (attempt(3, 25.0, "toolkit-fidelity"), attempt(2, 25.5, "toolkit-fidelity"), 3),
        (attempt(3, 25.0, "toolkit-regtask"), attempt(2, 24.5, "toolkit-fidelity"), 2),
    ],
)
def test_the_faster_way_is_kept_where_the_other_is_hardly_closer(
    first: BuildAttempt, second: BuildAttempt, level: int
) -> None:
    assert best_of([first, second]).task.level == level


def test_what_takes_far_longer_is_left_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    times = {3: 1.0, 2: 3.0}
    monkeypatch.setattr(
        BuildAttempt, "milliseconds", property(lambda attempt: times[attempt.task.level])
    )
    first, second = attempt(3, 25.0, "toolkit-fidelity"), attempt(2, 29.0)
    assert best_of([first, second]) is first
    times[2] = 1.1
    assert best_of([first, second]) is second


@pytest.mark.parametrize(
    ("db", "ms", "level"),
    [(29.0, 0.9, 2), (28.5, 0.9, 2), (27.0, 0.9, 3), (27.0, 0.7, 2), (25.0, 0.7, 3)],
)
def test_of_builds_that_are_as_close_the_fastest_is_taken(
    db: float, ms: float, level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is far faster may be a little further from the float model."""
    times = {3: 1.0, 2: ms}
    monkeypatch.setattr(
        BuildAttempt, "milliseconds", property(lambda attempt: times[attempt.task.level])
    )
    builds = [attempt(3, 29.0, "toolkit-slow"), attempt(2, db)]
    assert best_of(builds).task.level == level


def layer_of(runs_on: str, op: str = "Conv") -> Layer:
    return Layer(0, op, "INT8", runs_on, (), (), 0, 0, 0, op)


@pytest.mark.parametrize(
    ("layers", "waits"),
    [
        ([layer_of("NPU"), layer_of("CPU", "Reshape"), layer_of("NPU", "exSoftmax13")], True),
        ([layer_of("NPU"), layer_of("CPU", "Reshape"), layer_of("CPU", "OutputOperator")], False),
        ([layer_of("NPU"), layer_of("CPU", "TopK"), layer_of("NPU")], False),
        ([], False),
    ],
)
def test_what_the_npu_waits_for(layers: list[Layer], waits: bool) -> None:
    assert bool(waiting_trouble(layers)) is waits


@pytest.mark.parametrize(
    ("first", "times", "words"),
    [
        (
            attempt(3, 25.0, "toolkit-fidelity"),
            (4.1, 5.1),
            "4.10 ms instead of 5.10, on the first samples 4.0 dB",
        ),
        (attempt(3, 25.0, "toolkit-fidelity"), (5.1, 4.1), ""),
        (attempt(3, 20.0, "toolkit-fidelity"), (4.1, 5.1), ""),
        (attempt(3, 25.0, "toolkit-regtask"), (4.1, 5.1), ""),
    ],
)
def test_a_faster_build_that_was_set_aside_is_offered(
    first: BuildAttempt, times: tuple[float, float], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        BuildAttempt, "milliseconds", property(lambda each: times[3 - each.task.level])
    )
    second = attempt(2, 29.0)
    builds = {3: replace(first, trouble="x"), 2: second}
    monkeypatch.setattr(fallbacks, "_attempt", lambda task, *rest: builds[task.level])
    made = fallbacks.build_or_fall_back(replace(first.task, level=None), NO_PROBE, None)
    assert made.task.level == 2
    texts = [each for each in made.warnings if each.code == "toolkit-faster-build"]
    assert [words in each.text for each in texts] == ([True] if words else [])
    assert all(mentioned(each.hint) == [("toolkit-level", 3)] for each in texts)


def converted(folder: Path, text: str, channels: int) -> Conversion:
    onnx.save(model_of(text, {"w": (channels, 3, 3, 3)}, prepared=False), folder / "m.onnx")
    samples = np.random.default_rng(1).normal(size=(8, 3, 16, 16)).astype(np.float32)
    np.savez(folder / "x.npz", x=samples)
    recipe = make_recipe(folder / "m.onnx", calib=folder / "x.npz", method="min-max", mixed="off")
    quantize_file(recipe, folder / "q.onnx")
    again = make_recipe(folder / "q.onnx", calib=folder / "x.npz")
    return convert_file(again, folder / "m.rknn")


@pytest.mark.toolkit
@needs_toolkit
@pytest.mark.parametrize(
    "window", ["kernel_shape=[3,3], pads=[1,1,1,1]", "kernel_shape=[5,5], pads=[2,2,2,2]"]
)
def test_a_mean_of_what_is_inside_the_border_is_built_at_level_2(
    window: str, tmp_path: Path
) -> None:
    """PoolFormer has such windows. At level 3 they have the scale of their input."""
    text = f"""(float[1,3,16,16] x) => (float[1,32,16,16] y) {{
        c = Conv <pads = [1,1,1,1]> (x, w)
        y = AveragePool <{window}> (c) }}"""
    made = converted(tmp_path, text, 32)
    assert (made.quantization, made.level) == ("qdq", 2)
    assert made.closeness.intended_db is not None and made.closeness.intended_db > 50
    (warning,) = (each for each in made.warnings if each.code == "toolkit-fidelity")
    assert "at optimization level 2 instead (estimated " in warning.text
    again = make_recipe(tmp_path / "q.onnx", calib=tmp_path / "x.npz", toolkit_level=3)
    asked = convert_file(again, tmp_path / "m.rknn")
    assert (asked.quantization, asked.level) == ("qdq", 3)


def test_the_build_that_is_used_is_told_from_those_that_were_set_aside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"If_0_outputs_0/{'stft/' * 20}Unsqueeze_output_0"
    refused = replace(attempt(3, 10.0, "toolkit-refusal"), trouble=f"KeyError: '{name}'")
    used = replace(attempt(2, 20.0, "toolkit-fidelity"), trouble="the simulator has 20.0 dB")
    builds = {3: replace(refused, built=None), 2: used}
    monkeypatch.setattr(fallbacks, "_attempt", lambda task, *rest: builds[task.level])
    made = fallbacks.build_or_fall_back(replace(used.task, level=None), NO_PROBE, None)
    aside, still = (warning.text for warning in made.warnings)
    instead, _, trouble = aside.partition("; set aside: ")
    assert instead.startswith("the model was built at optimization level 2 instead")
    assert trouble.startswith("KeyError: 'If_0_outputs_0/stft/")
    assert "…" in trouble and trouble.endswith("Unsqueeze_output_0'")
    assert still.startswith("the build that is used: the simulator has 20.0 dB; no other way")


TWO_HEADS = """(float[1,3,8,8] x) => (float[1,4] boxes, float[1,2] scores) {
    c = Conv <strides=[2,2]> (x, w)
    r = Relu (c)
    f = Flatten (r)
    boxes = Gemm (f, u, ub)
    s = Gemm (f, v, vb)
    scores = Softmax (s) }"""


@pytest.mark.toolkit
@needs_toolkit
def test_a_head_that_the_npu_would_wait_for_is_built_another_way(tmp_path: Path) -> None:
    shapes = {"w": (16, 3, 2, 2), "u": (256, 4), "ub": (4,), "v": (256, 2), "vb": (2,)}
    onnx.save(model_of(TWO_HEADS, shapes, prepared=False, seed=2), tmp_path / "m.onnx")
    samples = np.random.default_rng(1).normal(size=(8, 3, 8, 8)).astype(np.float32)
    calib = tmp_path / "x.npz"
    np.savez(calib, x=samples)
    recipe = make_recipe(tmp_path / "m.onnx", calib=calib, method="min-max", mixed="off")
    quantize_file(recipe, tmp_path / "q.onnx")
    at_level_3 = make_recipe(tmp_path / "q.onnx", calib=calib, toolkit_level=3)
    waiting = convert_file(at_level_3, tmp_path / "m.rknn")
    made = convert_file(make_recipe(tmp_path / "q.onnx", calib=calib), tmp_path / "m.rknn")
    assert made.latency and made.latency.ms and waiting.latency and waiting.latency.ms
    assert made.latency.ms <= waiting.latency.ms
    if made.toolkit == "2.5.0":
        assert (waiting.quantization, made.quantization) == ("qdq", "hybrid")
        (warning,) = (each for each in made.warnings if each.code == "toolkit-slow")
        assert "the NPU waits for Reshape:" in warning.text
