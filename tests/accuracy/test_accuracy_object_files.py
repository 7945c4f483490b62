"""Poses, rotated boxes and masks from files to the command line: what a model gives is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from PIL import Image

from commands import Run
from graphs import model_of

Array = NDArray[Any]
SIZE = 64
# one object of 200 x 100 pixels, letterboxed to 64 x 64: times 0.32, 16 pixels down
KEYPOINTS = "0 .5 .5 .4 .4 .4 .4 2 .6 .6 2 .5 .5 1 .45 .6 2"
RECTANGLE = "0 .5 .2 .6 .5 .5 .8 .4 .5"
OUTLINE = "0 .25 .3 .5 .3 .5 .7 .25 .7\n0 .6 .1 .9 .1 .75 .9"


def placed(x: float, y: float) -> tuple[float, float]:
    return 64 * x, 16 + 32 * y


def rows_with(numbers: list[float]) -> Array:
    """(1, numbers, 80) with one object among many that are nothing."""
    rows = np.zeros((1, len(numbers), 80))
    rows[0, :4] = 4
    rows[0, :, 9] = numbers
    return rows


def pose() -> list[Array]:
    values = [float(word) for word in KEYPOINTS.split()][5:]
    points = np.array(values).reshape(-1, 3)
    flat = [[*placed(x, y), 1.0] for x, y, _ in points]
    box = [*placed(0.5, 0.5), 0.4 * 64, 0.4 * 32]
    return [rows_with([*box, 0.9, *np.ravel(flat)])]


def rotated() -> list[Array]:
    across = np.subtract(placed(0.6, 0.5), placed(0.5, 0.2))
    down = np.subtract(placed(0.5, 0.8), placed(0.6, 0.5))
    sides = [float(np.hypot(*across)), float(np.hypot(*down))]
    return [rows_with([*placed(0.5, 0.5), *sides, 0.9, float(np.arctan2(across[1], across[0]))])]


def masks() -> list[Array]:
    """A prototype of everything: the mask of an object is its box, which is the first outline."""
    left, top, right, bottom = *placed(0.25, 0.3), *placed(0.5, 0.7)
    box = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
    return [rows_with([*box, 0.9, 1.0, 0.0]), np.ones((1, 2, 16, 16))]


def constant_model(path: Path, outputs: list[Array]) -> Path:
    """A model that gives these whatever it sees."""
    given = {f"c{i}": value.astype(np.float32) for i, value in enumerate(outputs)}
    adds = " ".join(f"y{i} = Add (none, c{i})" for i in range(len(outputs)))
    shown = ", ".join(
        f"float[{','.join(map(str, value.shape))}] y{i}" for i, value in enumerate(outputs)
    )
    text = f"""(float[1,3,{SIZE},{SIZE}] x) => ({shown}) {{
        m = ReduceMean <axes = [0, 1, 2, 3], keepdims = 0> (x) none = Mul (m, zero) {adds} }}"""
    onnx.save(model_of(text, {**given, "zero": np.array(0.0)}), path)
    return path


KINDS = {
    "pose50": (KEYPOINTS, pose(), 1.0),
    "obb50": (RECTANGLE, rotated(), 1.0),
    # the second object is not found
    "mask50": (OUTLINE, masks(), 51 / 101),
}


@pytest.mark.parametrize("metric", KINDS)
def test_a_check_without_a_metric_finds_what_the_model_gives(
    metric: str, tmp_path: Path, rockpress: Run
) -> None:
    line, outputs, expected = KINDS[metric]
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    for index in range(3):
        Image.new("RGB", (200, 100), (40 * index, 9, 7)).save(tmp_path / "images" / f"{index}.png")
        (tmp_path / "labels" / f"{index}.txt").write_text(line)
    model = constant_model(tmp_path / "m.onnx", outputs)
    report = tmp_path / "report.json"
    done = rockpress(
        *("check", model, model, "--eval", tmp_path, "--resize", "letterbox", "--family", "off"),
        *("--report", report, "--report", tmp_path / "report.html", "--allow", "preprocess"),
    )
    assert f"the metric is {metric}, as the labels are" in done.err
    baseline = json.loads(report.read_text())["targets"][0]["models"][0]["accuracy"]
    assert baseline["metric"] == metric
    assert baseline["value"] == pytest.approx(expected, abs=1e-9)
