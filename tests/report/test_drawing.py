"""Pictures with what models say of them: where something is drawn, and in which colour."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from predicted_objects import objects
from rockpress.accuracy.prediction_difference import difference_of
from rockpress.core.results.predictions import (
    ClassShare,
    PredictedClasses,
    PredictedMap,
    PredictedNumbers,
    PredictedOutputs,
    PredictedSpeech,
    PredictedText,
    ScoredClass,
)
from rockpress.report.drawing.palette import LOST, NEW, class_colour
from rockpress.report.drawing.task_drawings import drawn, drawn_apart, drawn_small

GRAY = 128
PICTURE = np.full((400, 600, 3), GRAY, np.uint8)


def has_colour(pixels: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    flags: NDArray[np.bool_] = (pixels == colour).all(axis=2)
    return flags


def pixels_of(drawing: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    assert drawing is not None
    return drawing


def test_boxes_are_drawn_where_they_are_in_their_class_colour() -> None:
    before = PICTURE.copy()
    pixels = pixels_of(drawn(PICTURE, objects((0, 0.9, (100, 100, 300, 200)))))
    rows, columns = np.nonzero(has_colour(pixels, class_colour(0)))
    # the label stands above the box
    assert 70 < rows.min() < 100 and abs(rows.max() - 200) <= 2
    assert abs(columns.min() - 100) <= 2 and abs(columns.max() - 300) <= 2
    assert (pixels[110:190, 110:290] == GRAY).all()
    assert np.array_equal(PICTURE, before) and pixels.shape == PICTURE.shape


def test_a_mask_is_laid_over_and_keypoints_are_joined() -> None:
    mask = np.zeros((400, 600), bool)
    mask[150:180, 150:250] = True
    pixels = pixels_of(drawn(PICTURE, objects((0, 0.9, (100, 100, 300, 200)), mask=mask)))
    inside = pixels[165, 200]
    assert not (inside == GRAY).any() and (pixels[110, 200] == GRAY).all()
    points = tuple((120.0 + 10 * index, 150.0) for index in range(17))
    joined = pixels_of(drawn(PICTURE, objects((0, 0.9, (100, 100, 300, 200)), keypoints=points)))
    assert has_colour(joined, class_colour(0))[150, 125:275].mean() > 0.5
    corners = ((200.0, 100.0), (300.0, 200.0), (200.0, 300.0), (100.0, 200.0))
    turned = pixels_of(drawn(PICTURE, objects((0, 0.9, (100, 100, 300, 300)), outline=corners)))
    assert has_colour(turned, class_colour(0))[148:153, 248:253].any()
    assert (turned[110:130, 280:299] == GRAY).all()


def test_what_is_lost_is_dashed_on_both_sides_and_what_is_new_on_one() -> None:
    first = objects((0, 0.9, (50, 50, 150, 350)))
    second = objects((1, 0.9, (300, 50, 400, 350)))
    difference = difference_of(first, second, 0.3)
    titles = ("a.onnx", "b.rknn")
    pixels = pixels_of(drawn_apart(PICTURE, (first, second), difference, titles, 0.3))
    left, right = pixels[:, :600], pixels[:, 606:]
    for side in (left, right):
        column = has_colour(side, LOST)[60:340, 48:53].any(axis=1)
        assert 0.3 < column.mean() < 0.9, "dashed"
    assert not has_colour(left, NEW).any()
    assert has_colour(right, NEW)[60:340, 298:303].any(axis=1).all(), "not dashed"


def test_a_small_drawing_fits_and_only_shows_what_has_a_place() -> None:
    first = objects((0, 0.9, (50, 50, 150, 350)))
    nothing = objects()
    difference = difference_of(first, nothing, 0.3)
    pixels = pixels_of(drawn_small(PICTURE, nothing, difference, 320))
    assert pixels.shape == (213, 320, 3) and has_colour(pixels, LOST).any()
    text = PredictedText("abc", 0.9)
    assert drawn_small(PICTURE, text, difference_of(text, text, 0), 320) is None
    classes = PredictedMap((ClassShare(0, "road", 1.0),), np.zeros((400, 600), int))
    same = difference_of(classes, classes, 0)
    assert pixels_of(drawn_small(PICTURE, classes, same, 320)).shape[1] == 320


def test_maps_are_coloured_by_class_with_a_legend() -> None:
    pixels = np.zeros((400, 600), np.int64)
    pixels[:, 300:] = 1
    prediction = PredictedMap((ClassShare(0, "road", 0.5), ClassShare(1, "car", 0.5)), pixels)
    shown = pixels_of(drawn(PICTURE, prediction, "seg.onnx"))
    assert len(shown) > 400
    assert (shown[200, 100] == shown[100, 200]).all() and not (
        shown[200, 100] == shown[200, 500]
    ).all()
    for index in (0, 1):
        assert has_colour(shown[400:], class_colour(index)).any()


@pytest.mark.parametrize(
    "prediction",
    [
        PredictedClasses((ScoredClass(0, "cat" * 200, 0.9),)),
        PredictedText("a line\x1b[31m of text, 中", 0.5),
        PredictedNumbers((0.1, 0.2)),
        PredictedOutputs((), ()),
    ],
)
@pytest.mark.parametrize("shape", [(28, 28, 1), (1, 1, 3), (400, 600, 3), (2, 900, 3)])
def test_what_has_no_place_is_said_below_any_picture(prediction: Any, shape: Any) -> None:
    picture = np.full(shape, GRAY, np.uint8)
    pixels = pixels_of(drawn(picture, prediction, "m.onnx"))
    height, width = shape[:2]
    scale = max(1, -(-320 // max(height, width)))
    assert pixels.shape[1] == width * scale and len(pixels) > height * scale
    assert (pixels[: height * scale] == GRAY).all()
    assert (pixels[height * scale :] < 100).any()


def test_speech_is_a_curve_that_needs_no_picture() -> None:
    speech = PredictedSpeech((0.1, 0.9, 0.9, 0.1), 0.5, ((1, 3),))
    pixels = pixels_of(drawn(None, speech))
    shaded = ~(pixels[15] == 255).all(axis=1)
    assert shaded[260:700].all() and not shaded[20:240].any() and not shaded[730:940].any()
    both = drawn_apart(None, (speech, speech), difference_of(speech, speech, 0), ("a", "b"), 0)
    assert pixels_of(both).shape[0] > 2 * 200 and pixels_of(both).shape[1] == pixels.shape[1]
    assert drawn(None, PredictedText("abc", 0.9)) is None and drawn(None, objects()) is None


@pytest.mark.parametrize("shape", [(1, 4000, 3), (4000, 1, 1), (3, 5, 4)])
def test_what_a_broken_model_says_is_drawn_somewhere(shape: Any) -> None:
    picture = np.full(shape, GRAY, np.uint8)
    odd = (np.inf, -np.inf, np.nan, 1e300, -1e300)
    points = tuple((x, y) for x in odd for y in odd)[:17]
    boxes = [(0, 0.9, (x, 0.0, 1e9, y)) for x in (-1e9, 1e9) for y in (-1e9, 0.0, 1e9)]
    shown = drawn(picture, objects(*boxes, keypoints=points))
    first = objects((0, 0.9, (0, 0, 9, 9)), outline=points[:4])
    difference = difference_of(first, objects(*boxes, outline=points[:4]), 0.3)
    both = drawn_apart(picture, (first, first), difference, ("a" * 10**5, "b"), 0.3)
    assert pixels_of(shown).size and pixels_of(both).size


def test_a_map_of_as_many_classes_as_pixels_takes_no_longer() -> None:
    pixels = np.arange(400 * 600).reshape(400, 600)
    shares = tuple(ClassShare(index, "x" * 10**4, 1 / pixels.size) for index in range(5000))
    shown = pixels_of(drawn(PICTURE, PredictedMap(shares, pixels)))
    assert len(np.unique(shown[:400].reshape(-1, 3), axis=0)) > 10
    pixels = np.full((400, 600), -1)
    assert (pixels_of(drawn(PICTURE, PredictedMap((), pixels)))[:400] == GRAY).all()


def test_colours_are_read_with_any_colour_vision() -> None:
    # simulated by Machado et al., IEEE TVCG 2009, for a deuteranope and a protanope
    matrices = (
        [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
        [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.00388, -0.04812, 1.051998],
    )
    colours = np.array([LOST, NEW, *map(class_colour, range(5))], np.float64)
    for matrix in matrices:
        linear = (colours / 255) ** 2.2
        seen_as = 255 * np.clip(linear @ np.reshape(matrix, (3, 3)).T, 0, 1) ** (1 / 2.2)
        apart = np.linalg.norm(seen_as[:, None] - seen_as[None], axis=2) + 1e3 * np.eye(
            len(colours)
        )
        assert apart.min() > 35
