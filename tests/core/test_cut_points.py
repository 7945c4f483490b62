"""Where a model is sensibly ended: before decoding, before a join, where ways part."""

from __future__ import annotations

import pytest
from onnx import ModelProto

from detectors import detector, yolox
from graphs import model_of, random_feeds, small_cnn
from rockpress.core.graphs.cut_points import CutPoint, cut_points
from rockpress.core.graphs.graph import Graph, extract_until
from rockpress.core.passes.prepare import prepare_model
from rockpress.core.session import Session

TWO_HEADS = """(float[1,3,8,8] x) => (a, b) {
    stem = Conv (x, w0) trunk = Relu (stem)
    left = Conv (trunk, w3) a = Sigmoid (left)
    deep = Conv (trunk, w1) last = Conv (deep, w2) b = Softmax <axis = 1> (last) }"""
WEIGHTS = {"w0": (4, 3, 1, 1), "w1": (4, 4, 1, 1), "w2": (2, 4, 1, 1), "w3": (4, 4, 1, 1)}
TRANSFORMER = """(float[1,4,8] x) => (y) {
    m = MatMul (x, w) h = Add (m, b) t = Transpose <perm = [0,2,1]> (h)
    s = MatMul (h, t) odds = Softmax (s) mixed = MatMul (odds, h)
    last = MatMul (mixed, w) shifted = Add (last, b) y = Softmax (shifted) }"""


def reasons(model: ModelProto) -> dict[str, str]:
    return {cut.tensor: cut.reason for cut in cut_points(Graph(model))}


def test_a_detector_is_ended_before_its_decoding_or_its_join() -> None:
    last, joined = "last layer before y", "joined into y"
    assert reasons(detector()) == {
        **dict.fromkeys(["b0", "c0", "b1", "c1"], last),
        **dict.fromkeys(["boxes", "scores"], joined),
    }


def test_objectness_is_a_last_layer_too() -> None:
    cuts = reasons(yolox())
    layers = [name for name, reason in cuts.items() if reason.startswith("last layer")]
    assert sorted(layers) == ["b0", "b1", "c0", "c1", "o0", "o1"]


def test_ways_part_behind_the_trunk() -> None:
    model = model_of(TWO_HEADS, WEIGHTS)
    assert reasons(model) == {
        "trunk": "the ways to a and b part",
        "left": "last layer before a",
        "last": "last layer before b",
    }


def test_products_of_two_tensors_are_no_last_layers_and_a_bias_goes_along() -> None:
    model = model_of(TRANSFORMER, {"w": (8, 8), "b": (8,)}, prepared=False)
    assert cut_points(Graph(model)) == (CutPoint("shifted", (1, 4, 8), "last layer before y"),)


@pytest.mark.parametrize("model", [small_cnn(), model_of("(float[2] x) => (y) { y = Relu (x) }")])
def test_a_model_that_ends_with_its_last_layer_has_no_earlier_end(model: ModelProto) -> None:
    assert reasons(prepare_model(model)) == {}


def test_every_place_can_be_ended_at() -> None:
    model = detector(prepared=False)
    (feeds,) = random_feeds(model, 1)
    for cut in cut_points(Graph(detector())):
        (value,) = Session(extract_until(model, [cut.tensor])).run(feeds)
        assert value.shape == cut.shape
