"""Calibration samples of another scale are told by name, and sets with a wide range are not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from commands import Run
from graphs import model_of
from rockpress.calibration_data.bundled import CALIBRATION, TEST, sample_path
from rockpress.calibration_data.hygiene import sample_warnings
from rockpress.calibration_data.outlying_samples import (
    _FEWEST,
    _FULL_SCALE,
    _OUTLYING,
    _OVER_MEDIAN,
    _OVER_OTHERS,
)
from rockpress.calibration_data.samples import open_samples
from rockpress.core.diagnostics import Diagnostic
from rockpress.core.types import Array
from samples import save_feeds

RNG = np.random.default_rng
COUNT = 40


def images(count: int = COUNT) -> Array:
    """Photographs by their values: from black ones to such with white in them, as 0..1."""
    light = RNG(1).uniform(0.02, 1.0, (count, 1, 1, 1))
    return (RNG(2).beta(2, 5, (count, 3, 8, 8)) * light).astype(np.float32)


def normalised(count: int = COUNT) -> Array:
    return (images(count) - 0.45) / 0.225


def found(tmp_path: Path, samples: Array) -> list[Diagnostic]:
    """Return the warnings on the scale of samples in one .npy."""
    np.save(tmp_path / "calib.npy", samples.astype(np.float32))
    opened = open_samples(tmp_path / "calib.npy", {"x": (1, *samples.shape[1:])})
    both = (sample_warnings(opened, None, 0), sample_warnings(opened, opened, 0))
    outlying = [[each for each in those if each.code == "calibration-outlier"] for those in both]
    assert outlying[0] == outlying[1]
    return outlying[0]


@pytest.mark.parametrize("factor", [255.0, 1e20, -1e4])
@pytest.mark.parametrize("make", [images, normalised])
@pytest.mark.parametrize("count", [4, COUNT, 100])
def test_a_sample_of_another_scale_is_named(
    factor: float, make: Callable[[int], Array], count: int, tmp_path: Path
) -> None:
    samples = make(count)
    place = int(np.abs(samples).max(axis=(1, 2, 3)).argsort()[count // 2])  # an ordinary one
    samples[place] *= factor
    (warning,) = found(tmp_path, samples)
    largest = np.abs(np.delete(samples, place, 0)).max()
    assert warning.text == (
        f"{tmp_path}/calib.npy[{place}] reaches {np.abs(samples[place]).max():.4g}, and no other "
        f"calibration sample more than {largest:.4g}"
    )


def test_several_are_named_the_largest_first(tmp_path: Path) -> None:
    samples = normalised(100)
    for place, factor in ((3, 1e20), (50, 255.0), (70, 255.0), (90, 1e4)):
        samples[place] = normalised(1)[0] * factor
    (warning,) = found(tmp_path, samples)
    names = [f"{tmp_path}/calib.npy[{place}]" for place in (3, 90, 50)]
    assert warning.text.startswith(f"{', '.join(names)} and 1 more reach ")


def silence(loud: int, *, floor: float, level: float = 0.9) -> Array:
    sound = RNG(3).uniform(-1, 1, (COUNT, 1, 64)) * floor
    sound[:loud] = RNG(4).uniform(-1, 1, (loud, 1, 64)) * level
    return np.asarray(sound)


USUAL = {
    "images": images(),
    "normalised": normalised(),
    "0..255": images() * 255,
    "all dark but one": np.concatenate([images(30) * 0.02, images()[-1:]]),
    "dark": np.concatenate([images(30), images(5) * 1e-4]),
    "zeros among others": np.concatenate([normalised(30), np.zeros((10, 3, 8, 8))]),
    "nearly all zeros": np.concatenate([normalised(2), np.zeros((38, 3, 8, 8))]),
    "all zeros": np.zeros((COUNT, 3, 8, 8)),
    "speech and silence": silence(30, floor=1e-5),
    "silence and speech": silence(2, floor=1e-5),
    "silence of zeros": silence(3, floor=0.0),
    "loudness": RNG(5).normal(size=(COUNT, 1, 64)) * np.geomspace(1, 3e4, COUNT)[:, None, None],
    "heavy tails": RNG(6).standard_cauchy((COUNT, 1, 64)),
    "half of another scale": np.concatenate([normalised(20), normalised(20) * 255]),
    "three": np.array([[[1.0]], [[1.0]], [[1e20]]]),
}


@pytest.mark.parametrize("name", USUAL)
def test_a_wide_range_of_samples_is_not_told(name: str, tmp_path: Path) -> None:
    assert found(tmp_path, USUAL[name]) == []


def test_images_and_evaluation_samples_are_not_told(tmp_path: Path) -> None:
    gray = {"x": (1, 1, 28, 28)}
    calib, test = (open_samples(sample_path(name), gray) for name in (CALIBRATION, TEST))
    assert sample_warnings(calib, test, 0) == ()
    samples = normalised()
    samples[7] *= 1e20
    np.save(tmp_path / "eval.npy", samples)
    opened = open_samples(tmp_path / "eval.npy", {"x": (1, 3, 8, 8)})
    assert sample_warnings(None, opened, 0) == ()


def test_each_input_is_looked_at_and_numbers_that_are_no_floats_are_not(tmp_path: Path) -> None:
    feeds = [
        {"x": row[None], "ids": np.full((1, 4), 30_000 if index == 5 else 1 + index % 3)}
        for index, row in enumerate(normalised())
    ]
    path = save_feeds(tmp_path / "s.npz", feeds)
    inputs = {"x": (1, 3, 8, 8), "ids": (1, 4)}
    types: dict[str, np.dtype[Any]] = {"x": np.dtype(np.float32), "ids": np.dtype(np.int64)}
    assert sample_warnings(open_samples(path, inputs, types=types), None, 0) == ()
    feeds[9]["x"] = feeds[9]["x"] * 1e6
    opened = open_samples(save_feeds(path, feeds), inputs, types=types)
    (warning,) = sample_warnings(opened, None, 0)
    assert warning.subject == "x" and "of the input 'x'" in warning.text
    assert warning.text.startswith(f"{path}[9] ")


def test_quantize_names_the_file(tmp_path: Path, rockpress: Run) -> None:
    text = "(float[1,3,8,8] x) => (float[1,4,8,8] y) { y = Conv <pads = [1, 1, 1, 1]> (x, w) }"
    onnx.save(model_of(text, {"w": (4, 3, 3, 3)}), tmp_path / "m.onnx")
    samples = normalised(12)
    samples[4] *= 255
    for index, row in enumerate(samples):
        np.save(tmp_path / f"{index}.npy", row[None])
    (tmp_path / "calib.txt").write_text("".join(f"{index}.npy\n" for index in range(12)))
    line = ["quantize", tmp_path / "m.onnx", "--calib", tmp_path / "calib.txt"]
    _, _, err = rockpress(*line, "-o", tmp_path / "q.onnx")
    assert err.count("[calibration-outlier]") == 1
    assert f"warning: {tmp_path / '4.npy'} reaches " in err


def test_the_limits_on_the_page_are_those_that_count(root: Path) -> None:
    page = " ".join((root / "docs" / "calibration-set.md").read_text().split())
    limits = re.search(
        r"`calibration-outlier` .*? (\d+) times the median .*? (\d+) times the largest of the "
        r"others, and ([\d.]+), .*? They are (\d+) % of the samples .*? at least (\d+) others",
        page,
    )
    assert limits is not None
    assert [float(limit) for limit in limits.groups()] == [
        *(_OVER_MEDIAN, _OVER_OTHERS, _FULL_SCALE, 100 * _OUTLYING, _FEWEST)
    ]
