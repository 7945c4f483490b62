"""Logits that become outputs because the model is ended there: the host makes scores of them."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from detectors import detector, scenes
from rockpress.core.diagnostics import option
from rockpress.pipeline.options.sample_options import ModelOptions
from rockpress.pipeline.quantize_file import Quantized, quantize_file
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.samples.ready_model import logits_at_cut
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
    assert logits_at_cut(model, ModelOptions(outputs=HEADS)) == ("c0", "c1")
    assert logits_at_cut(model, ModelOptions(outputs=("levels",))) == ()
    assert logits_at_cut(model, ModelOptions(outputs=("scores",))) == ()
    assert logits_at_cut(model, ModelOptions()) == ()


def test_their_scores_are_not_capped_by_what_was_seen(model: Path) -> None:
    plan = quantized_at(model, *HEADS).result.plan
    for name in ("c0", "c1"):
        assert plan.activations[name].high > 2
        assert plan.activations[name].source == "min-max, logits of Sigmoid"
    assert plan.activations["b0"].source == "min-max"


def test_what_the_hint_names_makes_the_notice_go(model: Path) -> None:
    code = "output-parts-apart"
    (notice,) = (each for each in quantized_at(model).warnings if each.code == code)
    named = ["b0", "b1", "c0", "c1"]
    assert option("outputs", named) in notice.hint
    assert code not in [each.code for each in quantized_at(model, *named).warnings]
