"""The metric that nobody has chosen: by the labels, told in a line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from commands import Run
from detectors import detector
from graphs import model_of
from rockpress.accuracy.metrics.label_metric import Form, metric_of_labels
from rockpress.calibration_data.sources.boxes import make_boxes
from rockpress.calibration_data.sources.labels import Kind, Labels
from rockpress.core.progress import Progress
from rockpress.pipeline.default_metric import with_metric_of_labels
from rockpress.pipeline.recipes.recipe import make_recipe
from samples import noise_images

POSED = make_boxes(np.array([[0.0, 0, 5, 5]]), np.array([0]), keypoints=np.zeros((1, 17, 3)))
PLAIN = make_boxes(np.array([[0.0, 0, 5, 5]]), np.array([0]))


@pytest.mark.parametrize(
    ("kind", "forms", "metric"),
    [
        ("boxes", [(84, 8400)], "map50"),
        ("boxes", [(1, 160, 160)], "text-boxes"),
        ("boxes", [(64, 20, 20), (80, 20, 20), (64, 10, 10), (80, 10, 10)], "map50"),
        ("keypoints", [(56, 8400)], "pose50"),
        ("keypoints", [(300, 57)], "pose50"),
        ("keypoints", [(84, 8400)], "map50"),
        ("keypoints", [(64, 20, 20), (1, 20, 20), (51, 20, 20)], "pose50"),
        ("keypoints", [(116, 8400), (32, 160, 160)], "mask50"),
        ("rotated-boxes", [(20, 8400)], "obb50"),
        ("rotated-boxes", [(300, 6)], "map50"),
        ("instance-masks", [(116, 8400), (32, 160, 160)], "mask50"),
        ("instance-masks", [(84, 8400)], "map50"),
        ("instance-masks", [(64, 20, 20), (80, 20, 20), (32, 20, 20), (32, 80, 80)], "mask50"),
        ("instance-masks", [(64, 20, 20), (80, 20, 20), (64, 10, 10), (80, 10, 10)], "map50"),
        ("mask", [(19, 64, 64)], "miou"),
    ],
)
def test_objects_are_scored_by_what_the_outputs_hold(
    kind: Kind, forms: list[Form], metric: str
) -> None:
    values = [POSED if kind == "keypoints" else PLAIN]
    assert metric_of_labels(Labels(kind, values), forms) == metric


@pytest.mark.parametrize(
    ("texts", "forms", "metric"),
    [
        (["one", "two", "three"], [(40, 97)], "character-accuracy"),
        (["cat", "dog", "cat", "cat"], [(40, 97)], None),
        (["one", "two", "three"], [(3,)], None),
    ],
)
def test_texts_are_lines_to_read_where_they_hardly_repeat(
    texts: list[str], forms: list[Form], metric: str | None
) -> None:
    assert metric_of_labels(Labels("text", texts), forms) == metric
    assert metric_of_labels(Labels("class", np.array([0, 1])), forms) is None


class Notes(Progress):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


def boxed(folder: Path) -> Path:
    noise_images(folder / "images", 3)
    (folder / "labels").mkdir()
    (folder / "labels" / "0.txt").write_text("1 0.5 0.5 0.25 0.5\n")
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.onnx"
    onnx.save(detector(), path)
    return path


def test_it_is_taken_where_none_is_given_and_told(model: Path, tmp_path: Path) -> None:
    recipe = make_recipe(model, eval=boxed(tmp_path / "set"))
    notes = Notes()
    assert with_metric_of_labels(recipe, "run", notes).metric.metric == "map50"
    assert notes.texts == ["the metric is map50, as the labels are boxes"]
    for given in ("top1", "map"):
        chosen = recipe.with_options(metric=given)
        assert with_metric_of_labels(chosen, "run", notes) is chosen
    assert with_metric_of_labels(recipe, "inspect", notes) is recipe
    assert len(notes.texts) == 1


def test_what_cannot_be_read_is_left_to_those_who_read_it(model: Path, tmp_path: Path) -> None:
    missing = make_recipe(model, eval=tmp_path / "none")
    assert with_metric_of_labels(missing, "run", Notes()) is missing
    broken = make_recipe(tmp_path / "none.onnx", eval=boxed(tmp_path / "set"))
    assert with_metric_of_labels(broken, "run", Notes()) is broken


def test_a_check_of_a_detector_needs_no_metric(model: Path, tmp_path: Path, rockpress: Run) -> None:
    path = boxed(tmp_path / "set")
    report = tmp_path / "r.json"
    done = rockpress("check", model, model, "--eval", path, "--family", "off", "--report", report)
    assert done.code == 0, done.err
    assert "the metric is map50, as the labels are boxes" in done.err
    assert '"map50"' in report.read_text()


def test_a_text_reader_asks_for_its_characters(tmp_path: Path, rockpress: Run) -> None:
    text = "(float[1,3,8,32] x) => (float[1,3,256] y) { y = Reshape (x, s) }"
    path = tmp_path / "r.onnx"
    onnx.save(model_of(text, {"s": np.array([1, 3, 256])}), path)
    folder = noise_images(tmp_path / "lines", 3)
    (folder / "labels.csv").write_text("path,label\n0.png,abc\n1.png,bcd\n2.png,cde\n")
    done = rockpress("check", path, path, "--eval", folder)
    assert done.code == 2 and "reading text needs the model's characters" in done.err
