"""Labels that count their classes otherwise than the model are told by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from graphs import model_of
from rockpress.calibration_data.hygiene import sample_warnings
from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.calibration_data.samples import Samples
from rockpress.calibration_data.sources.class_order import in_order_of
from rockpress.calibration_data.sources.labels import Labels
from rockpress.core.progress import SILENT
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.samples.ready_model import ready_model
from rockpress.pipeline.stages.baseline import measure_baseline
from rockpress.pipeline.stages.stage_log import StageLog
from samples import labelled_images

NAMES = ("person", "bicycle", "car", "cat")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    text = "(float[1,3,32,32] x) => (float[1,3,32,32] y) { y = Relu (x) }"
    made = model_of(text)
    made.metadata_props.add(key="names", value=str(dict(enumerate(NAMES))))
    onnx.save(made, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def opened(model: Path, path: Path) -> Samples:
    return ready_model(model).samples(path, Preprocessing())


def coco(folder: Path, *categories: str) -> Path:
    Image.new("RGB", (32, 32)).save(folder / "0.png")
    rows: list[dict[str, Any]] = [
        {"id": n, "image_id": 0, "category_id": 7 + n, "bbox": [n, 0, 4, 4]}
        for n in range(len(categories))
    ]
    document = {
        "images": [{"id": 0, "file_name": "0.png"}],
        "annotations": rows,
        "categories": [{"id": 7 + n, "name": name} for n, name in enumerate(categories)],
    }
    (folder / "truth.json").write_text(json.dumps(document))
    return folder / "truth.json"


def test_categories_of_a_file_are_those_of_the_model(model: Path, tmp_path: Path) -> None:
    samples = opened(model, coco(tmp_path, "car", "person"))
    assert samples.labels is not None and samples.labels.is_by_name
    assert samples.labels[0].classes.tolist() == [2, 0]
    assert samples.labels[0].corners[:, 0].tolist() == [0, 1]
    assert samples.labels.class_names() == NAMES
    codes = [warning.code for warning in sample_warnings(None, samples, 0)]
    assert "evaluation-labels-by-name" in codes


def test_folders_too(model: Path, tmp_path: Path) -> None:
    samples = opened(model, labelled_images(tmp_path / "l", ("cat", "car"), 2))
    assert samples.labels is not None
    # natural order: car, cat
    assert samples.labels.classes().tolist() == [2, 2, 3, 3]
    assert len(samples.take(2).labels or ()) == 2


@pytest.mark.parametrize("categories", [("person", "bicycle"), ("car", "dog")])
def test_what_counts_alike_or_has_other_names_stays(
    model: Path, tmp_path: Path, categories: tuple[str, ...]
) -> None:
    samples = opened(model, coco(tmp_path, *categories))
    assert samples.labels is not None and not samples.labels.is_by_name
    assert samples.labels[0].classes.tolist() == [0, 1]
    assert samples.labels.class_names() == categories


def test_names_that_stand_for_two_classes_tell_nothing() -> None:
    labels = Labels("class", np.array([0, 1]), names=("b", "a"))
    assert in_order_of(labels, ("a", "b", "b")) is labels
    assert in_order_of(labels, ()) is labels
    unnamed = Labels("class", np.array([0, 1]))
    assert in_order_of(unnamed, NAMES) is unnamed


def test_classes_of_numbers_alone_are_called_in_the_report_as_the_model_does(
    tmp_path: Path,
) -> None:
    path = tmp_path / "c.onnx"
    made = model_of("(float[1,4] x) => (float[1,4] y) { y = Identity (x) }")
    made.metadata_props.add(key="names", value=str(dict(enumerate(NAMES))))
    onnx.save(made, path)
    np.savez(tmp_path / "l.npz", x=np.eye(4, dtype=np.float32), labels=np.arange(4))
    recipe = make_recipe(path, eval=tmp_path / "l.npz")
    samples = ready_model(path).samples(tmp_path / "l.npz", Preprocessing())
    base = measure_baseline(ready_model(path), None, samples, recipe, StageLog(SILENT))
    details = base.compared([np.roll(base.outputs[0], 1, axis=1)]).details
    called = [row["class"] for row in details["classes"]]
    assert called == [f"{index} {name}" for index, name in enumerate(NAMES)]
    assert samples.labels is not None and samples.labels.class_names() == ()


def test_another_order_is_another_digest(model: Path, tmp_path: Path) -> None:
    folder = labelled_images(tmp_path / "l", ("cat", "car"), 2)
    plain = tmp_path / "plain.onnx"
    onnx.save(model_of("(float[1,3,32,32] x) => (float[1,3,32,32] y) { y = Relu (x) }"), plain)
    assert opened(model, folder).digest() != opened(plain, folder).digest()
