"""A detector as it is exported goes through a run with its samples and no other option."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from commands import Run
from exports import SIDE, ultralytics, with_metadata
from rockpress.pipeline.recipes.recipe_file import read_jobs
from samples import pixels, save_images

pytestmark = pytest.mark.toolkit


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with yolo.onnx, frames/, and val/ with a box in each image."""
    folder = tmp_path_factory.mktemp("yolo")
    model = with_metadata(ultralytics(), task="detect", stride="32", imgsz="[64, 64]")
    onnx.save(model, folder / "yolo.onnx")
    images = [pixels(SIDE, SIDE, 3, seed=seed) for seed in range(6)]
    save_images(folder / "frames", images)
    save_images(folder / "val" / "images", images)
    (folder / "val" / "labels").mkdir()
    for place in range(len(images)):
        (folder / "val" / "labels" / f"{place}.txt").write_text("1 0.5 0.5 0.5 0.5")
    return folder


def test_it_needs_its_samples_alone(folder: Path, rockpress: Run, tmp_path: Path) -> None:
    samples = ("--calib", folder / "frames", "--eval", folder / "val")
    ended = rockpress("run", folder / "yolo.onnx", *samples, "--scheme", "float16", "-o", tmp_path)
    assert ended.code == 0
    assert "family ultralytics-detect: resize letterbox, std 255, metric map50 from" in ended.err
    assert "to leave that to the host: --outputs b0,c0,b1,c1,b2,c2 --metric-option" in ended.err
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["family"]["cut"]["outputs"] == ["b0", "c0", "b1", "c1", "b2", "c2"]
    (target,) = report["targets"]
    assert (target["retention"]["metric"], target["retention"]["samples"]) == ("map50", 6)
    fed = json.loads((tmp_path / "rk3588" / "yolo.rknn.json").read_text())["inputs"][0]
    assert (fed["dtype"], fed["std"]) == ("uint8", [255.0] * 3)


def test_init_ends_it_at_its_heads(folder: Path, rockpress: Run, tmp_path: Path) -> None:
    samples = ("--calib", folder / "frames", "--eval", folder / "val")
    assert rockpress("init", folder / "yolo.onnx", *samples, "-o", tmp_path).code == 0
    (job,) = read_jobs(tmp_path / "rockpress.toml")
    assert job.recipe.shape.outputs == ("b0", "c0", "b1", "c1", "b2", "c2")
    assert job.recipe.metric.metric_option == {"head": "yolov8"}
    ended = rockpress("check", folder / "yolo.onnx", folder / "yolo.onnx", *samples[2:])
    parts = rockpress("run", tmp_path / "rockpress.toml", "--dry-run")
    assert (ended.code, parts.code) == (0, 0)
    assert "family" not in parts.out.splitlines()[1]  # all of it is in the recipe


def test_convert_takes_pixels(folder: Path, rockpress: Run, tmp_path: Path) -> None:
    output = tmp_path / "m.rknn"
    assert rockpress("convert", folder / "yolo.onnx", "-o", output).code == 0
    fed = json.loads((tmp_path / "m.rknn.json").read_text())["inputs"][0]
    assert (fed["dtype"], fed["std"]) == ("uint8", [255.0] * 3)
    off = rockpress("convert", folder / "yolo.onnx", "-o", output, "--family", "off")
    assert off.code == 0
    assert json.loads((tmp_path / "m.rknn.json").read_text())["inputs"][0]["dtype"] == "float32"
