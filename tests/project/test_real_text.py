"""A text recogniser and a text detector of others, scored on what is rendered here."""

from __future__ import annotations

import json
import runpy
from importlib.metadata import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from commands import Run
from rockpress.accuracy.compare import Comparison, compare
from rockpress.accuracy.metrics.metric_table import bind_metric
from rockpress.accuracy.runners import run_onnxruntime
from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.pipeline.options.sample_options import ModelOptions
from rockpress.pipeline.samples.ready_model import ready_model

FOR_LINES = Preprocessing(resize="fit", color="bgr", mean=(127.5,), std=(127.5,))
FOR_PAGES = Preprocessing(color="bgr", mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))


def model(name: str) -> Path:
    """A model inside rapidocr-onnxruntime, of which nothing is imported."""
    found = [file for file in files("rapidocr-onnxruntime") or [] if file.name == name]
    return Path(str(found[0].locate()))


@pytest.fixture(scope="module")
def rendered(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(root / "examples"))
        program = runpy.run_path(str(root / "examples" / "render_text_sets.py"))
    random = np.random.default_rng(5)
    program["write_lines"](folder / "lines", 8, random)
    pages = folder / "pages"
    program["write_pages"](pages / "images", pages / "labels", 3, random)
    program["write_keys"](model("ch_PP-OCRv4_rec_infer.onnx"), folder / "keys.txt")
    return folder


def itself(
    path: Path,
    samples: Path,
    how: Preprocessing,
    size: tuple[int, int],
    metric: str,
    **options: Any,
) -> Comparison:
    ready = ready_model(path, ModelOptions(size=size))
    given = ready.samples(samples, how)
    outputs = run_onnxruntime(ready.model, given)
    names = [one.name for one in ready.model.graph.output]
    scoring = bind_metric(metric, options, [], names, size)
    return compare(outputs, outputs, given.labels, scoring)


def test_rendered_lines_are_read(rendered: Path) -> None:
    result = itself(
        model("ch_PP-OCRv4_rec_infer.onnx"),
        rendered / "lines",
        FOR_LINES,
        (48, 320),
        "character-accuracy",
        **{"charset": str(rendered / "keys.txt"), "ignore-spaces": "yes"},
    )
    assert result.baseline_value is not None and result.baseline_value > 0.95
    assert result.agreement == 1 and result.samples == 8


def test_rendered_lines_are_found_on_their_pages(rendered: Path) -> None:
    name = "ch_PP-OCRv4_det_infer.onnx"
    result = itself(model(name), rendered / "pages", FOR_PAGES, (320, 320), "text-boxes")
    assert result.baseline_value is not None and result.baseline_value > 0.9


def test_lines_are_read_and_found_without_options(
    rendered: Path, rockpress: Run, tmp_path: Path
) -> None:
    rows = (rendered / "lines" / "labels.csv").read_text().splitlines()[1:]
    texts = [row.partition(",")[2].strip('"') for row in rows]
    words = [model("ch_PP-OCRv4_rec_infer.onnx"), rendered / "lines", "--json", "--quiet"]
    lines = json.loads(rockpress("predict", *words).out)["samples"]
    read = ["".join(line["prediction"]["text"].split()) for line in lines]
    same = [a == "".join(b.split()) for a, b in zip(read, texts, strict=True)]
    assert sum(same) >= 7 and all(line["prediction"]["confidence"] > 0.8 for line in lines)
    found = [
        model("ch_PP-OCRv4_det_infer.onnx"),
        rendered / "pages" / "images",
        "--size",
        "320x320",
    ]
    pages = json.loads(rockpress("predict", *found, "-o", tmp_path, "--json").out)["samples"]
    for page in pages:
        labels = (rendered / "pages" / "labels" / f"{Path(page['sample']).stem}.txt").read_text()
        assert abs(len(page["prediction"]["objects"]) - len(labels.splitlines())) <= 1
        with Image.open(page["sample"]) as image, Image.open(page["drawing"]) as drawing:
            colours = [np.asarray(each.convert("RGB")).reshape(-1, 3) for each in (image, drawing)]
        blue = [(pixels == (86, 180, 233)).all(axis=1).sum() for pixels in colours]
        assert blue[0] == 0 and blue[1] > 100
