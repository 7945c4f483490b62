"""A build that computes what was meant, but loses much on the way, is made another way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from graphs import model_of
from rockpress.convert.build_attempt import BuildAttempt, best_of
from rockpress.convert.chips.targets import find_target
from rockpress.convert.convert import Conversion
from rockpress.convert.fidelity import Closeness
from rockpress.convert.request import ToolkitSettings
from rockpress.convert.toolkit.environment import toolkit_version
from rockpress.convert.toolkit.job import BuildResult
from rockpress.convert.toolkit_build import ToolkitBuild
from rockpress.pipeline.convert_file import convert_file
from rockpress.pipeline.quantize_file import quantize_file
from rockpress.pipeline.recipes.recipe import make_recipe

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
