"""Labels that a metric of objects cannot score, and images in which a model finds nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from rockpress.accuracy.metrics.metric_table import find_metric
from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.calibration_data.samples import open_samples
from rockpress.calibration_data.sources.boxes import make_boxes
from rockpress.calibration_data.sources.labels import Labels
from rockpress.core.errors import SamplesError

Array = NDArray[Any]
SIZE = (64, 64)
BOX = "0 .5 .5 .4 .4"
SQUARE = "0 .2 .2 .6 .2 .6 .6 .2 .6"
# by metric: a line of a label, and outputs of three images of a model of two classes
OUTPUTS: dict[str, tuple[str, list[Array]]] = {
    "map50": (BOX, [np.zeros((3, 6, 80))]),
    "pose50": (f"{BOX} .5 .5 2 .4 .4 2", [np.zeros((3, 12, 80))]),
    "obb50": (SQUARE, [np.zeros((3, 7, 80))]),
    "mask50": (SQUARE, [np.zeros((3, 8, 80)), np.ones((3, 2, 16, 16))]),
}


def labels_of(folder: Path, *texts: str) -> Labels:
    """Three images of 64 x 64 pixels, the first of them labelled."""
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for index in range(3):
        Image.new("RGB", SIZE, (index, 0, 0)).save(folder / "images" / f"{index}.png")
    for index, text in enumerate(texts):
        (folder / "labels" / f"{index}.txt").write_text(text)
    labels = open_samples(folder, {"x": (1, 3, *SIZE)}, Preprocessing(resize="stretch")).labels
    assert labels is not None
    return labels


def measured(metric: str, outputs: list[Array], labels: Labels) -> Any:
    options = {"keypoints": "2"} if metric == "pose50" else {}
    bound = find_metric(metric, options).bound(SIZE)
    return bound.measure(bound.predict(outputs), labels)


@pytest.mark.parametrize("metric", OUTPUTS)
def test_a_model_that_finds_nothing_is_right_where_nothing_is(metric: str, tmp_path: Path) -> None:
    line, outputs = OUTPUTS[metric]
    result = measured(metric, outputs, labels_of(tmp_path, line))
    assert result.value == 0 and result.scores.tolist() == [0, 1, 1]


@pytest.mark.parametrize("metric", OUTPUTS)
def test_an_image_with_unsure_detections_alone_is_scored(metric: str, tmp_path: Path) -> None:
    line, outputs = OUTPUTS[metric]
    unsure = outputs[0].copy()
    unsure[:, :5, 7] = [10, 10, 4, 4, 0.1]
    result = measured(metric, [unsure, *outputs[1:]], labels_of(tmp_path, line))
    assert result.value == 0 and result.scores.tolist() == [0, 1, 1]


@pytest.mark.parametrize("metric", OUTPUTS)
def test_a_class_that_the_model_has_not_is_named(metric: str, tmp_path: Path) -> None:
    line, outputs = OUTPUTS[metric]
    labels = labels_of(tmp_path, line, "2" + line[1:])
    with pytest.raises(SamplesError, match=r"1\.txt: class 2 is labelled, but the model has 2 cl"):
        measured(metric, outputs, labels)


def test_a_class_that_the_model_has_not_has_its_name() -> None:
    truth = make_boxes(np.array([[0.0, 0, 5, 5]]), np.array([2]))
    labels = Labels("boxes", (truth,), names=("cat", "cow", "dog"))
    with pytest.raises(SamplesError, match=r"label 0: class 2 \(dog\) is labelled"):
        measured("map50", [np.zeros((1, 6, 80))], labels)


@pytest.mark.parametrize(("metric", "more"), [("map50", 0), ("pose50", 6), ("obb50", 1)])
def test_a_model_that_selects_itself_may_have_any_class(
    metric: str, more: int, tmp_path: Path
) -> None:
    labels = labels_of(tmp_path, "99" + OUTPUTS[metric][0][1:])
    assert measured(metric, [np.zeros((3, 300, 6 + more))], labels).value == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 .2 .2 .6 .2 .6 .6", "3 corners are no rotated box"),
        ("0 .2 .2 .2 .2 .2 .2 .2 .2", "corners on one line are no rotated box"),
        ("0 .1 .2 .3 .4 .5 .6 .7 .8", "corners on one line are no rotated box"),
    ],
)
def test_a_line_that_is_no_rotated_box_is_named(line: str, message: str, tmp_path: Path) -> None:
    labels = labels_of(tmp_path, SQUARE, f"{SQUARE}\n\n{line}\n")
    with pytest.raises(SamplesError, match=rf"1\.txt:3: {message}"):
        measured("obb50", OUTPUTS["obb50"][1], labels)
