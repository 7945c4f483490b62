"""How to feed a model: in the manifest, on the page, in Markdown and as inspect has it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest

from graphs import small_cnn
from rockpress.calibration_data.preprocess import Preprocess
from rockpress.calibration_data.sources.labels import Labels
from rockpress.core.results.layer_rows import Feed, FeedInput, FeedOutput
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.samples.class_names import class_names
from rockpress.pipeline.tasks.manifest_files import feed_inputs
from rockpress.report.formats.md import _feed
from rockpress.report.html.models_part import feed_card

INPUT = FeedInput(
    *("x", "uint8", "NHWC", (1, 48, 192, 3), "rgb", (127.5, 64.0, 32.0), (1.0, 2.0, 3.0)),
    *("letterbox", (114, 114, 114), "inside"),
)
FEED = Feed((INPUT,), (FeedOutput("y", (1, 2), "float32"),), ("cat", "<dog>"))


def test_the_page_multiplies_shapes_alone() -> None:
    page = str(feed_card(FEED))
    text = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    assert "1 × 48 × 192 × 3" in text and "127.5, 64, 32" in text and "114, 114, 114" in text
    assert "mean (inside) std (inside) resize pad" in text
    assert "The model applies mean and std itself" in text
    assert "classes: 0 cat, 1 &lt;dog&gt;" in text
    assert "scale" not in text  # nothing is known of it


def test_tensors_need_no_words_on_pixels() -> None:
    feed = Feed((FeedInput("x", "float32", "as the model", (1, 8)),), (), ())
    text = str(feed_card(feed))
    assert "itself" not in text and "mean" not in text and "classes" not in text


def test_markdown_has_it_in_lines() -> None:
    assert _feed(FEED).splitlines() == [
        "- input x 1x48x192x3 uint8 NHWC rgb resize letterbox pad 114 mean 127.5,64,32 and std "
        "1,2,3 inside",
        "- output y 1x2 float32",
        r"- classes: 0 cat, 1 \<dog\>",
    ]


@pytest.mark.parametrize(
    ("resize", "pad"),
    [
        ("stretch", None),
        ("crop", None),
        ("letterbox", (114,) * 3),
        ("fit", (10, 20, 30)),
        ("corner", (114,) * 3),
    ],
)
def test_a_resize_and_what_is_beside_the_image(resize: str, pad: tuple[int, ...] | None) -> None:
    given = Preprocess(size=(8, 8), resize=resize, mean=(10, 20, 30))  # type: ignore[arg-type]
    (feed,) = feed_inputs({"x": (1, 3, 8, 8)}, given)
    assert (feed.resize, feed.pad, feed.normalisation) == (resize, pad, "inside")
    (tensor,) = feed_inputs({"x": (1, 3, 8, 8)}, None)
    assert (tensor.resize, tensor.pad, tensor.normalisation) == (None, None, None)


@pytest.mark.parametrize(
    ("metadata", "names"),
    [
        ({"names": "{0: 'cat', 1: 'dog'}"}, ("cat", "dog")),
        ({"names": "['cat', 'dog']"}, ("cat", "dog")),
        ({"character": "a\nb\n"}, ("a", "b")),
        ({"names": "{1: 'cat'}"}, ("c0", "c1")),
        ({"names": "__import__('os').getcwd()"}, ("c0", "c1")),
        ({}, ("c0", "c1")),
    ],
)
def test_classes_are_called_as_the_model_says_or_else_the_labels(
    metadata: dict[str, str], names: tuple[str, ...], tmp_path: Path
) -> None:
    model = small_cnn()
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, tmp_path / "m.onnx")
    labels = Labels("class", np.array([0, 1]), names=("c0", "c1"))
    recipe = make_recipe(tmp_path / "m.onnx")
    assert class_names(recipe, labels) == names
    assert class_names(recipe) == (names if names != ("c0", "c1") else ())
    numbers = Labels("vector", np.zeros((2, 1)), names=("c0", "c1"))
    assert class_names(recipe, numbers) == (names if names != ("c0", "c1") else ())


def test_a_recogniser_has_the_characters_of_its_metric(tmp_path: Path) -> None:
    onnx.save(small_cnn(), tmp_path / "m.onnx")
    (tmp_path / "keys.txt").write_text("x\ny\nz\n")
    options = {"charset": str(tmp_path / "keys.txt")}
    recipe = make_recipe(tmp_path / "m.onnx", metric="cer", metric_option=options)
    assert class_names(recipe) == ("x", "y", "z")
