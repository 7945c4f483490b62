"""A model with channels last: the toolkit would apply mean and std along the wrong axis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from graphs import model_of
from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.convert.manifest import manifest_path, read_manifest
from rockpress.core.errors import OptionError
from rockpress.pipeline.convert_file import convert_file
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.run import run


@pytest.fixture
def channels_last(tmp_path: Path) -> Path:
    """x 1x16x24x3 -> transpose -> convolution -> global average -> 1x4."""
    weight = np.random.default_rng(0).normal(0, 0.3, (4, 3, 3, 3)).astype(np.float32)
    text = """(float[1,16,24,3] x) => (float[1,4] y) {
        first = Transpose <perm = [0,3,1,2]> (x)
        conv = Conv <pads = [1,1,1,1]> (first, w)
        relu = Relu (conv)
        pool = GlobalAveragePool (relu)
        y = Flatten (pool) }"""
    path = tmp_path / "channels_last.onnx"
    onnx.save(model_of(text, {"w": weight}, prepared=False), path)
    return path


HOW = Preprocessing(mean=(120.0, 110.0, 100.0), std=(60.0, 50.0, 40.0))


def test_images_reach_a_model_with_channels_last(
    channels_last: Path, image_folder: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(
        model=channels_last, calib=image_folder, preprocessing=HOW, scheme="float16"
    )
    report = run(recipe, tmp_path / "build")
    assert report.targets[0].retention.sqnr_db > 50
    rknn = tmp_path / "build" / "rk3588" / "channels_last.rknn"
    fed = read_manifest(manifest_path(rknn)).inputs[0]
    assert (fed.dtype, fed.mean, fed.shape) == ("float32", None, (1, 16, 24, 3))


def test_mean_and_std_cannot_go_inside(channels_last: Path, tmp_path: Path) -> None:
    recipe = make_recipe(model=channels_last, preprocessing=HOW)
    with pytest.raises(OptionError, match="channels last"):
        convert_file(recipe, tmp_path / "out.rknn", pixels=True)
    assert not (tmp_path / "out.rknn").exists()
