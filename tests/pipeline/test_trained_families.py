"""Families of text, classes and faces: told by metadata or form, and not by less."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto
from PIL import Image

from commands import Run
from detectors import detector, end_to_end, yolox
from graphs import model_of, small_cnn
from rockpress.accuracy.metrics.text_recognition import read_charset
from rockpress.core.errors import OptionError
from rockpress.pipeline.filled_recipe import FilledRecipe, fill_recipe
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.recipes.recipe_file import read_jobs
from rockpress.pipeline.samples.ready_model import ready_model
from rockpress.report.text.family_text import family_text
from trained_exports import (
    CHARACTERS,
    face,
    imagenet,
    line_direction,
    page_direction,
    recogniser,
    text_detector,
)

IMAGENET = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}
HALF = {"mean": [127.5], "std": [127.5]}
# model -> family, and what is taken but for the character set
FAMILIES: dict[str, tuple[ModelProto, str, dict[str, Any]]] = {
    "rec": (
        recogniser(),
        "paddleocr-rec",
        {
            **{"resize": "fit", "color": "bgr", "metric": "character-accuracy", **HALF},
            "size": [48, 320],
        },
    ),
    "rec of v2": (
        recogniser("32"),
        "paddleocr-rec",
        {
            **{"resize": "fit", "color": "bgr", "metric": "character-accuracy", **HALF},
            "size": [32, 320],
        },
    ),
    "det": (
        text_detector(),
        "paddleocr-det",
        {"color": "bgr", "metric": "text-boxes", "size": [480, 480], **IMAGENET},
    ),
    "cls": (
        line_direction(),
        "paddleocr-cls",
        {"resize": "fit", "color": "bgr", "metric": "top1", "size": [48, 192], **HALF},
    ),
    "page": (
        page_direction(),
        "paddle-classifier",
        {"resize": "crop", "metric": "top1", **IMAGENET},
    ),
    "imagenet": (
        imagenet(),
        "imagenet-classifier",
        {"resize": "crop", "metric": "top1", **IMAGENET},
    ),
    "imagenet of any size": (
        imagenet("1,3,h,w"),
        "imagenet-classifier",
        {"resize": "crop", "metric": "top1", "size": [224, 224], **IMAGENET},
    ),
    "face": (face(), "face-embedding", {"color": "rgb", "metric": "recall@1", **HALF}),
    "face that scales inside": (
        face(512, "z = Sub (x, half)"),
        "face-embedding",
        {"color": "rgb", "metric": "recall@1"},
    ),
}
OTHERS: dict[str, ModelProto] = {
    "small cnn": small_cnn(),
    "a thousand classes of small images": imagenet("1,3,32,32"),
    "imagenet that scales inside": imagenet(first="z = Div (x, half)"),
    "recogniser without characters": recogniser(characters=None),
    "recogniser with others' characters": recogniser(characters="a\nb\n"),
    "detector": detector(),
    "yolox": yolox(),
    "end to end": end_to_end(),
    "three classes": model_of(
        "(float[1,3,112,112] x) => (y) { c = Conv (x, w) p = GlobalAveragePool (c) "
        "y = Flatten (p) }",
        {"w": (3, 3, 3, 3)},
    ),
    "mask": model_of(
        "(float[1,3,32,32] x) => (y) { c = Conv (x, w) y = Sigmoid (c) }", {"w": (1, 3, 1, 1)}
    ),
}


def filled(model: ModelProto, place: Path, **options: Any) -> FilledRecipe:
    onnx.save(model, place / "m.onnx")
    return fill_recipe(make_recipe(place / "m.onnx", **options), "run")


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_recognised_and_can_be_prepared(name: str, tmp_path: Path) -> None:
    model, family, settings = FAMILIES[name]
    outcome = filled(model, tmp_path)
    assert outcome.family is not None and outcome.family.name == family
    taken = {each.option: each.value for each in outcome.family.taken}
    charset = taken.pop("metric_option.charset", None)
    assert taken == settings
    assert (charset is not None) == name.startswith("rec")
    ready = ready_model(tmp_path / "m.onnx", outcome.recipe.shape)
    assert all(all(shape) for shape in ready.inputs.values())


@pytest.mark.parametrize("name", OTHERS)
def test_others_are_left_alone(name: str, tmp_path: Path) -> None:
    outcome = filled(OTHERS[name], tmp_path)
    assert outcome.family is None


def test_what_nothing_says_is_called_a_guess(tmp_path: Path) -> None:
    outcome = filled(imagenet(), tmp_path)
    assert outcome.family is not None
    sources = {each.option: each.source for each in outcome.family.taken}
    assert sources == {"resize": "guess", "mean": "guess", "std": "guess", "metric": "form"}


def test_what_only_the_name_says_is_called_that(tmp_path: Path) -> None:
    model = text_detector()
    model.producer_name, model.graph.name = "pytorch", "main_graph"
    outcome = filled(model, tmp_path, family="paddleocr-det")
    assert outcome.family is not None
    sources = {each.option: each.source for each in outcome.family.taken}
    assert sources.pop("size") == "guess"
    assert set(sources) == {"color", "mean", "std", "metric"}
    assert set(sources.values()) == {"name"}
    assert "std 58.395,57.12,57.375 as the named family has it" in family_text(outcome.family)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("yolov8", "ultralytics-detect"),
        ("YOLO11n", "ultralytics-detect"),
        ("yolov8-seg", "ultralytics-segment"),
        ("arcface", "face-embedding"),
        ("ppocr", "paddleocr-det or paddleocr-rec"),
        ("yolo-x", "yolox"),
    ],
)
def test_a_common_name_leads_to_the_family(
    name: str, meant: str, rockpress: Run, tmp_path: Path
) -> None:
    code, _, err = rockpress("inspect", "m.onnx", "--family", name)
    is_clear = " or " not in meant
    typed = f"--family {meant}" if is_clear else meant
    assert code == 2 and f"did you mean {typed}?" in err
    with pytest.raises(OptionError) as caught:
        make_recipe(tmp_path / "m.onnx", family=name)
    assert caught.value.hint == f"did you mean {typed}?"
    recipe = tmp_path / "r.toml"
    recipe.write_text(f'model = "m.onnx"\nfamily = "{name}"\n')
    with pytest.raises(OptionError) as caught:
        read_jobs(recipe)
    written = f'family = "{meant}"' if is_clear else meant
    assert caught.value.hint == f"did you mean {written}?"


def test_a_named_family_needs_less(tmp_path: Path) -> None:
    bare = recogniser(characters=None)
    assert filled(bare, tmp_path, family="paddleocr-rec").recipe.preprocessing.resize == "fit"
    model = imagenet()
    model.producer_name = "other"
    assert filled(model, tmp_path).family is None
    named = filled(model, tmp_path, family="imagenet-classifier")
    assert named.recipe.preprocessing.resize == "crop"
    with pytest.raises(OptionError, match="cannot be of it"):
        filled(small_cnn(), tmp_path, family="paddleocr-rec")


def test_the_characters_are_read_from_the_model(tmp_path: Path) -> None:
    onnx.save(recogniser(), tmp_path / "m.onnx")
    names = read_charset(tmp_path / "m.onnx")
    assert names == CHARACTERS.removesuffix("\n").split("\n") and len(names) == 6
    onnx.save(small_cnn(), tmp_path / "none.onnx")
    with pytest.raises(OptionError, match="holds 1 characters"):
        read_charset(tmp_path / "none.onnx")


def test_a_recogniser_is_measured_with_no_option_but_the_samples(
    tmp_path: Path, rockpress: Run
) -> None:
    onnx.save(recogniser(), tmp_path / "rec.onnx")
    lines = tmp_path / "lines"
    lines.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (4, 48, 100, 3), np.uint8)
    for index, pixels in enumerate(noise):
        Image.fromarray(pixels).save(lines / f"{index}.png")
    (lines / "labels.csv").write_text("path,label\n" + "".join(f"{i}.png,0a1b\n" for i in range(4)))
    line = ["check", tmp_path / "rec.onnx", tmp_path / "rec.onnx", "--eval", lines]
    code, out, err = rockpress(*line, "--allow", "preprocess")
    assert code == 0, err
    assert "character-accuracy" in out and "family paddleocr-rec: charset " in err
