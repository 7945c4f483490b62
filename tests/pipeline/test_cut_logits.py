"""Logits that become outputs because the model is ended there: the host makes scores of them."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import ModelProto

from detectors import detector, scenes
from graphs import model_of, random_feeds
from rockpress.core.diagnostics import option
from rockpress.pipeline.options.sample_options import ModelOptions
from rockpress.pipeline.quantize_file import Quantized, quantize_file
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.recognition.raw_logits import raw_class_maps
from rockpress.pipeline.samples.ready_model import logits_at_end, ready_model
from samples import save_feeds

HEADS = ("b0", "c0", "b1", "c1")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.onnx"
    onnx.save(detector(prepared=False, scores_at=-15.0), path)
    return path


def quantized_at(model: Path, *outputs: str) -> Quantized:
    calib = model.with_name("c.npz")
    save_feeds(calib, scenes(onnx.load(model), 16))
    recipe = make_recipe(model, calib=calib, outputs=list(outputs), method="min-max")
    return quantize_file(recipe, model.with_name("q.onnx"))


def test_the_classes_of_a_head_are_logits_and_its_boxes_are_not(model: Path) -> None:
    for outputs, expected in (
        (HEADS, ("c0", "c1")),
        (("levels",), ()),
        (("scores",), ()),
        ((), ()),
    ):
        options = ModelOptions(outputs=outputs)
        assert logits_at_end(ready_model(model, options), options) == expected


def test_their_scores_are_not_capped_by_what_was_seen(model: Path) -> None:
    plan = quantized_at(model, *HEADS).result.plan
    for name in ("c0", "c1"):
        assert plan.activations[name].high > 2
        assert plan.activations[name].source == "min-max, logits of Sigmoid"
    assert plan.activations["b0"].source == "min-max"


def ended_at_maps(*channels: int, end: str = "") -> ModelProto:
    """Return a model whose outputs are maps of so many channels at each of two scales."""
    layers = "f = Conv <strides = [2,2]> (x, w) g = Conv <strides = [2,2]> (f, v)"
    weights = {"w": (8, 3, 1, 1), "v": (8, 8, 1, 1)}
    names = []
    for index, count in enumerate(channels):
        weights[f"w{index}"] = (count, 8, 1, 1)
        for scale, source in enumerate("fg"):
            names.append(f"m{index}{scale}")
            layers += f" {names[-1]} = Conv ({source}, w{index})"
    layers += end
    names = [name for name in names if f"({name})" not in end] + (["s"] if end else [])
    return model_of(f"(float[1,3,16,16] x) => ({', '.join(names)}) {{ {layers} }}", weights)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (ended_at_maps(64, 5), ("m10", "m11")),
        (ended_at_maps(5, 64), ("m00", "m01")),
        (ended_at_maps(64, 64), ("m10", "m11")),
        (ended_at_maps(64), ()),
        (ended_at_maps(32, 5), ()),
        (ended_at_maps(64, 5, 3), ()),
        (ended_at_maps(64, 5, end=" s = Sigmoid (m11)"), ()),
    ],
)
def test_maps_of_classes_are_told_by_their_form(
    model: ModelProto, expected: tuple[str, ...], tmp_path: Path
) -> None:
    assert raw_class_maps(model) == expected
    onnx.save(model, tmp_path / "m.onnx")
    assert logits_at_end(ready_model(tmp_path / "m.onnx"), ModelOptions()) == expected


def test_scores_of_a_model_that_came_so_are_not_capped_either(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    model = ended_at_maps(64, 5)
    onnx.save(model, path)
    save_feeds(tmp_path / "c.npz", random_feeds(model, 16))
    recipe = make_recipe(path, calib=tmp_path / "c.npz", method="min-max", family="off")
    plan = quantize_file(recipe, tmp_path / "q.onnx").result.plan
    assert plan.activations["m10"].source == "min-max, logits of Sigmoid"
    assert plan.activations["m00"].source == "min-max"


def test_what_the_hint_names_makes_the_notice_go(model: Path) -> None:
    code = "output-parts-apart"
    (notice,) = (each for each in quantized_at(model).warnings if each.code == code)
    named = ["b0", "b1", "c0", "c1"]
    assert option("outputs", named) in notice.hint
    assert code not in [each.code for each in quantized_at(model, *named).warnings]
