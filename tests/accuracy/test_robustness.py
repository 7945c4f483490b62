"""Worse images: what they are, and what a report says of a model that gets them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rockpress.accuracy.preprocess.corruptions import LEVELS, Corruption, corrupted
from rockpress.calibration_data.bundled import MODEL, TEST, sample_path
from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.calibration_data.samples import Samples, open_samples
from rockpress.calibration_data.sources.source_types import ImageSource
from rockpress.core.errors import OptionError
from rockpress.core.results.sample_rows import RobustnessRow
from rockpress.pipeline.check import check
from rockpress.pipeline.figures.robustness import robustness_warnings
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.report.documents.document import to_json
from rockpress.report.html.page import to_html
from rockpress.report.text.chain_text import robustness_lines
from rockpress.report.text.table import to_tables


def image_set(folder: Path, *shape: int) -> Samples:
    """Smooth pictures: a red slope to the right, a green one down, little blue."""
    height, width, channels = shape
    picture = np.zeros(shape, np.float64)
    picture[:, :, 0] = np.linspace(60, 180, width)
    if channels == 3:
        picture[:, :, 1] = np.linspace(60, 180, height)[:, np.newaxis]
    np.save(folder / "images.npy", np.stack([picture, 240 - picture]).astype(np.uint8))
    return open_samples(folder / "images.npy", {"x": (1, channels, 16, 16)})


def image_of(samples: Samples, index: int = 0) -> NDArray[np.float64]:
    assert isinstance(samples.source, ImageSource)
    return samples.source.image(index).astype(np.float64)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("how", LEVELS, ids=lambda how: f"{how.kind} {how.level:g}")
def test_images_are_changed_but_not_beyond_recognition(
    how: Corruption, channels: int, tmp_path: Path
) -> None:
    samples = image_set(tmp_path, 32, 48, channels)
    clean, worse = image_of(samples), image_of(corrupted(samples, how, 0))
    assert worse.shape == clean.shape
    assert 0.01 < np.abs(worse - clean).mean() < 75
    for channel in range(min(channels, 2)):
        kept = np.corrcoef(clean[..., channel].ravel(), worse[..., channel].ravel())[0, 1]
        assert kept > 0.7  # and so the channels are in their order


@pytest.mark.parametrize("kind", ["noise", "blur", "jpeg", "brightness"])
def test_the_second_level_is_the_worse_one(kind: str, tmp_path: Path) -> None:
    samples = image_set(tmp_path, 32, 48, 3)
    levels = [one for one in LEVELS if one.kind == kind]
    change = [
        np.abs(image_of(corrupted(samples, one, 0)) - image_of(samples)).mean() for one in levels
    ]
    assert len(levels) == 2
    assert change[0] < change[1] * 1.2


def test_noise_is_seeded_and_differs_between_images(tmp_path: Path) -> None:
    samples = image_set(tmp_path, 32, 48, 3)
    noise = Corruption("noise", 10)

    def noise_of(seed: int, index: int) -> NDArray[np.float64]:
        return image_of(corrupted(samples, noise, seed), index) - image_of(samples, index)

    np.testing.assert_array_equal(noise_of(1, 0), noise_of(1, 0))
    assert not np.array_equal(noise_of(1, 0), noise_of(2, 0))
    assert not np.array_equal(noise_of(1, 0), noise_of(1, 1))
    assert noise_of(1, 0)[..., :2].std() == pytest.approx(10, rel=0.1)


def test_blur_is_that_of_the_input(tmp_path: Path) -> None:
    """A step edge in an image ten times as large is blurred ten times as wide."""
    step = np.zeros((160, 160, 3), np.uint8)
    step[:, 80:] = 200
    np.save(tmp_path / "images.npy", step[np.newaxis])
    samples = open_samples(tmp_path / "images.npy", {"x": (1, 3, 16, 16)})
    row = image_of(corrupted(samples, Corruption("blur", 1), 0))[80, :, 0]
    assert row[70] == pytest.approx(200 * 0.159, abs=8)  # one standard deviation before the edge


def test_tensors_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((4, 1, 28, 28), np.float32))
    recipe = make_recipe(sample_path(MODEL), calib=tmp_path / "x.npy", robustness=True)
    with pytest.raises(OptionError, match="these samples are tensors"):
        check(recipe, sample_path(MODEL))


def kept_on(name: str, level: float | None, *retained: float | None) -> RobustnessRow:
    value, low, high = retained
    metric = None if value is None else "top1"
    return RobustnessRow(name, level, metric, 0.9, 0.8, value, low, high, None, 20.0, 500)


def test_what_is_lost_on_worse_images_is_a_warning() -> None:
    clean = kept_on("none", None, 0.96, 0.95, 0.98)
    near = kept_on("jpeg", 40, 0.92, 0.90, 0.951)
    blurred = kept_on("blur", 2, 0.80, 0.75, 0.85)
    noisy = kept_on("noise", 30, 0.54, 0.50, 0.58)
    (warning,) = robustness_warnings([clean, near, blurred, noisy])
    assert (warning.code, warning.text) == (
        "robustness-lost",
        "on worse images less is kept of top1: 54.0% (50.0 to 58.0%) on noise 30, "
        "96.0% (95.0 to 98.0%) on clean ones (blur 2 too)",
    )
    assert list(robustness_warnings([clean, near])) == list(robustness_warnings([])) == []
    nothing = kept_on("brightness", 1.5, None, None, None)
    (warning,) = robustness_warnings([clean, near, nothing])
    assert "nothing is known on brightness 1.5: a model gives" in warning.text
    assert list(robustness_warnings([nothing, nothing])) == []


def test_why_there_is_no_retention_on_worse_images() -> None:
    clean = kept_on("none", None, 0.96, 0.95, 0.98)
    zero = replace(kept_on("noise", 30, None, None, None), metric="top1", baseline=0.0)
    nothing = replace(
        kept_on("noise", 10, None, None, None), baseline=None, candidate=None, sqnr_db=math.inf
    )
    assert robustness_lines([clean, nothing, zero])[1] == (
        "on worse images: noise 10 unknown (a model gives what is not finite); "
        "noise 30 0.0000 and 0.8000, no retention: a model's is not above 0"
    )
    agreed = replace(nothing, agreement=0.9)
    assert robustness_lines([replace(agreed, level=None), agreed])[1] == (
        "on worse images: noise 10 90.0%"
    )


def test_the_report_of_a_check() -> None:
    model = sample_path(MODEL)
    how = Preprocessing(mean=(73,), std=(90,))
    recipe = make_recipe(model, eval=sample_path(TEST), eval_count=40, preprocessing=how)
    plain = json.loads(to_json(check(recipe, model)))["targets"][0]
    assert "robustness" not in plain
    report = check(make_recipe(**{**vars(recipe), "robustness": True}), model)
    rows = json.loads(to_json(report))["targets"][0]["robustness"]
    assert [(row["corruption"], row["level"]) for row in rows] == [
        ("none", None),
        *((one.kind, one.level) for one in LEVELS),
    ]
    assert {row["samples"] for row in rows} == {40}
    assert {row["retention"] for row in rows} == {1.0}  # the same model twice
    clean, worst = rows[0], min(rows, key=lambda row: float(row["baseline"]))
    assert clean["baseline"] > 0.85 > worst["baseline"]
    lines = to_tables(report)[0].asked
    (line,) = (line for line in lines if line.startswith("robustness: "))
    value = f"{clean['baseline']:.4f}"
    assert f"clean {value} and {value}, 100.0% (" in line
    assert sum(line.startswith("on worse images: ") for line in lines) == 4
    page = to_html(report)
    assert value in page.partition("On worse images")[2].partition("Under attack")[0]
    assert "robustness" in [stage.name for stage in report.targets[0].stages]
