"""Outputs taken apart into what was joined, and each part compared alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from graphs import Weights, model_of, random_feeds
from rockpress.core.graphs.output_parts import parts_of, whole_outputs
from rockpress.core.results.part_figures import worst_part
from rockpress.core.session import Session
from rockpress.core.similarity import sqnr_db
from rockpress.core.streaming.part_similarity import PartMeter
from rockpress.core.types import Array

# boxes in pixels and scores, as an Ultralytics detector joins them
DETECTOR = """(float[1,3,8,8] x) => (float[1,7,64] y) {
    box = Conv (x, "box.weight")  cls = Conv (x, "cls.weight")
    flat_box = Reshape (box, "box.shape")  flat_cls = Reshape (cls, "cls.shape")
    boxes = Mul (flat_box, "strides")  scores = Sigmoid (flat_cls)
    y = Concat <axis = 1> (boxes, scores) }"""
DETECTOR_WEIGHTS: Weights = {
    "box.weight": (4, 3, 1, 1),
    "cls.weight": (3, 3, 1, 1),
    "box.shape": np.array([1, 4, 64]),
    "cls.shape": np.array([1, 3, 64]),
    "strides": np.full((1, 1, 64), 320.0),
}
# levels of one head, joined inside and then over their positions, as YOLOX and YOLOv5 do
LEVELS = """(float[1,3,8,8] x, float[1,3,4,4] z) => (float[1,80,5] y) {
    b1 = Conv (x, "bw")  s1 = Conv (x, "sw")  p1 = Sigmoid (s1)
    b2 = Conv (z, "bw")  s2 = Conv (z, "sw")  p2 = Sigmoid (s2)
    j1 = Concat <axis = 1> (b1, p1)  j2 = Concat <axis = 1> (b2, p2)
    f1 = Reshape (j1, "flat")  f2 = Reshape (j2, "flat")
    all = Concat <axis = 2> (f1, f2)  y = Transpose <perm = [0, 2, 1]> (all) }"""


def test_an_output_is_taken_apart_where_it_was_joined() -> None:
    model = model_of(DETECTOR, DETECTOR_WEIGHTS)
    boxes, scores = parts_of(model)
    assert boxes.tensors == ("boxes",) and scores.tensors == ("scores",)
    feeds = random_feeds(model, 1)[0]
    y = Session(model).run(feeds)[0]
    np.testing.assert_array_equal(boxes.of(y), y[0, :4].ravel())
    np.testing.assert_array_equal(scores.of(y), y[0, 4:].ravel())


def test_parts_are_taken_of_a_batch_and_of_each_of_its_rows() -> None:
    weights = {**DETECTOR_WEIGHTS, "box.shape": [2, 4, 64], "cls.shape": [2, 3, 64]}
    text = DETECTOR.replace("[1,3,8,8]", "[2,3,8,8]").replace("[1,7,64]", "[2,7,64]")
    model = model_of(text, weights)
    boxes, scores = parts_of(model)
    y = Session(model).run(random_feeds(model, 1)[0])[0]
    np.testing.assert_array_equal(boxes.of(y), y[:, :4].ravel())
    for row in y:
        np.testing.assert_array_equal(boxes.of(row), row[:4].ravel())
        np.testing.assert_array_equal(scores.of(row), row[4:].ravel())


def test_levels_of_one_head_are_one_part() -> None:
    weights: Weights = {"bw": (4, 3, 1, 1), "sw": (1, 3, 1, 1), "flat": np.array([1, 5, -1])}
    model = model_of(LEVELS, weights)
    boxes, scores = parts_of(model)
    assert boxes.tensors == ("b1", "b2") and scores.tensors == ("p1", "p2")
    assert boxes.name == "b1 and 1 more"
    y = Session(model).run(random_feeds(model, 1)[0])[0]
    np.testing.assert_array_equal(np.sort(scores.of(y)), np.sort(y[0, :, 4].ravel()))


@pytest.mark.parametrize(
    ("joined", "tensors"),
    [
        # raw heads along their channels: two things
        ('a = Conv (x, "w4")  b = Conv (x, "w3")  y = Concat <axis = 1> (a, b)', [("a",), ("b",)]),
        # of one layer twice, over positions: one thing
        (
            'a = Conv (x, "w4")  b = Conv (x, "v4")  y = Concat <axis = 2> (a, b)',
            [("a", "b")],
        ),
        # classes of one head
        (
            'a = Conv (x, "w1")  b = Conv (x, "v1")  y = Concat <axis = 1> (a, b)',
            [("a", "b")],
        ),
        # scaled behind the join
        (
            'a = Conv (x, "w4")  b = Conv (x, "w3")  j = Concat <axis = 1> (a, b) '
            'y = Mul (j, "seven")',
            [("a",), ("b",)],
        ),
        ('y = Conv (x, "w4")', [("y",)]),
    ],
)
def test_what_counts_as_one_part(joined: str, tensors: list[tuple[str, ...]]) -> None:
    weights: dict[str, ArrayLike] = {
        name: (int(name[1]), 3, 1, 1) for name in ("w4", "v4", "w3", "w1", "v1")
    }
    model = model_of(
        f"(float[1,3,4,4] x) => (y) {{ {joined} }}", {**weights, "seven": np.ones((1, 7, 1, 1))}
    )
    parts = parts_of(model)
    merged = [part.tensors for part in parts if part.places is not None]
    whole = [("y",)] if len(tensors) == 1 else tensors
    assert (merged or [part.tensors for part in parts]) == whole


def test_what_a_constant_scales_far_apart_is_apart() -> None:
    vector = np.array([320.0] * 4 + [1.0] * 6, np.float32).reshape(1, 10, 1, 1)
    text = """(float[1,3,4,4] x) => (y) {
        c = Conv (x, w)  s = Sigmoid (c)  m = Mul (s, vector)  y = Reshape (m, flat) }"""
    weights: Weights = {"w": (10, 3, 1, 1), "vector": vector, "flat": np.array([1, 10, 16])}
    scores, boxes = parts_of(model_of(text, weights))
    values = np.arange(160.0).reshape(1, 10, 16)
    np.testing.assert_array_equal(boxes.of(values), values[0, :4].ravel())
    np.testing.assert_array_equal(scores.of(values), values[0, 4:].ravel())
    strides = np.array([8.0, 16.0, 32.0, 64.0] * 4, np.float32).reshape(1, 1, 4, 4)
    text = "(float[1,3,4,4] x) => (y) { c = Conv (x, w)  y = Mul (c, strides) }"
    assert len(parts_of(model_of(text, {"w": (10, 3, 1, 1), "strides": strides}))) == 1


def test_what_a_ranking_has_ordered_is_marked() -> None:
    model = model_of(
        """(float[1,16] x) => (float[1,4] y, int64[1,4] i) {
            h = MatMul (x, "w")  y, i = TopK (h, "four") }""",
        {"w": (16, 16), "four": np.array([4])},
    )
    assert all(part.is_ranked for part in parts_of(model))


def meter_of(reference: Array, candidate: Array) -> PartMeter:
    meter = PartMeter(parts_of(model_of(DETECTOR, DETECTOR_WEIGHTS)))
    for pair in zip(reference, candidate, strict=True):
        meter.add(*([row] for row in pair))
    return meter


@pytest.fixture
def outputs() -> Array:
    model = model_of(DETECTOR, DETECTOR_WEIGHTS)
    session = Session(model)
    return np.stack([session.run(feeds)[0][0] for feeds in random_feeds(model, 6)])


def test_dead_scores_are_seen_beside_boxes_in_pixels(outputs: Array) -> None:
    dead = outputs.copy()
    dead[:, 4:] = 0
    boxes, scores = meter_of(outputs, dead).figures
    assert boxes.is_alive and boxes.sqnr_db == np.inf
    assert not scores.is_alive and scores.variance_ratio == 0 and scores.sqnr_db == 0
    assert worst_part([boxes, scores]) is scores
    assert sqnr_db([outputs], [dead]) > 40  # which is what a figure of the whole would say


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_dead(outputs: Array, value: float) -> None:
    bad = outputs.copy()
    bad[2, 5, 3] = value
    boxes, scores = meter_of(outputs, bad).figures
    assert boxes.is_alive and not scores.is_alive and not scores.finite


def test_the_same_answer_to_every_sample_is_dead(outputs: Array) -> None:
    same = np.repeat(outputs[:1], len(outputs), axis=0)
    boxes, scores = meter_of(outputs, same).figures
    assert not boxes.is_alive and not scores.is_alive


def test_a_part_that_hardly_varies_is_not_judged(outputs: Array) -> None:
    outputs[:, 4:] = 1e-3 * outputs[:, 4:]  # no object in any sample: below a step of int8
    nothing = outputs.copy()
    nothing[:, 4:] = 0
    boxes, scores = meter_of(outputs, nothing).figures
    assert scores.variance_ratio is None and scores.is_alive and not scores.is_judged
    assert worst_part([scores, boxes]) is boxes


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.2, 5.0), st.integers(1, 4))
def test_rounding_alone_never_kills_a_part(seed: int, scale: float, samples: int) -> None:
    random = np.random.default_rng(seed)
    values = (scale * random.standard_normal((samples, 7, 64))).astype(np.float32)
    step = np.ptp(values) / 255
    figures = meter_of(values, np.rint(values / step) * step).figures
    assert all(figure.is_alive for figure in figures)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 5))
def test_of_whole_outputs_the_figure_is_the_sqnr(seed: int, samples: int) -> None:
    random = np.random.default_rng(seed)
    first, second = random.standard_normal((2, samples, 12))
    meter = PartMeter(whole_outputs(["y"]))
    for pair in zip(first, second, strict=True):
        meter.add(*([row] for row in pair))
    assert meter.db == pytest.approx(sqnr_db([first], [second]))
