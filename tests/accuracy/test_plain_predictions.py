"""What metrics decode, as plain values in a picture's pixels, and what differs between two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from predicted_objects import NAMES, objects
from rockpress.accuracy.compare import compare
from rockpress.accuracy.metrics.instance_masks import InstanceMasks
from rockpress.accuracy.metrics.metric import Listing
from rockpress.accuracy.metrics.metric_table import bind_metric, find_metric
from rockpress.accuracy.metrics.pose import Poses
from rockpress.accuracy.metrics.rotated_detection import RotatedDetections
from rockpress.accuracy.picture_places import OUTSIDE, in_picture
from rockpress.accuracy.prediction_difference import difference_of
from rockpress.calibration_data.images.geometry import placement
from rockpress.calibration_data.sources.boxes import make_boxes
from rockpress.calibration_data.sources.instance_shapes import encode
from rockpress.calibration_data.sources.labels import Labels
from rockpress.core.errors import ModelError, OptionError
from rockpress.core.results.differences import Difference
from rockpress.core.results.predictions import (
    ClassShare,
    OutputStatistics,
    PredictedClasses,
    PredictedMap,
    PredictedNumbers,
    PredictedObjects,
    PredictedOutputs,
    PredictedSpeech,
    PredictedText,
    Prediction,
    ScoredClass,
)

Array = NDArray[Any]
BOXES = np.array([[2.0, 4, 10, 8], [0, 0, 4, 4]])
SCORES, CLASSES = np.array([0.9, 0.2]), np.array([1, 0])


def plain(name: str, outputs: Array, **options: str) -> Prediction:
    metric = find_metric(name, options).bound((16, 32))
    prediction = metric.plain(metric.predict([outputs])[0], Listing(NAMES))
    assert prediction is not None
    return prediction


def test_logits_become_probabilities_and_scores_stay() -> None:
    logits = plain("top1", np.log([[1.0, 3.0]]))
    assert isinstance(logits, PredictedClasses)
    assert [(each.name, round(each.score, 3)) for each in logits.classes] == [
        ("dog", 0.75),
        ("cat", 0.25),
    ]
    # of several labels each has a probability of its own, so that they do not add up to 1
    several = plain("top1", np.array([[0.9, 0.8, 0.1]]))
    assert several == PredictedClasses(
        (ScoredClass(0, "cat", 0.9), ScoredClass(1, "dog", 0.8), ScoredClass(2, "class 2", 0.1))
    )


def test_a_line_has_the_mean_probability_of_its_characters(tmp_path: Path) -> None:
    (tmp_path / "keys.txt").write_text("a\nb\n")
    steps = np.array([[[0.1, 0.8, 0.1], [0.1, 0.7, 0.2], [0.9, 0.1, 0.0], [0.2, 0.2, 0.6]]])
    read = plain("character-accuracy", steps, charset=str(tmp_path / "keys.txt"))
    assert read == PredictedText("ab", pytest.approx(0.7))  # type: ignore[arg-type]
    empty = plain(
        "character-accuracy", np.tile(steps[:, 2:3], (1, 4, 1)), charset=str(tmp_path / "keys.txt")
    )
    assert empty == PredictedText("", 0.0)


def test_objects_are_those_that_are_shown_with_their_form() -> None:
    listing = Listing(NAMES)
    points = np.arange(8.0).reshape(2, 2, 2)
    (pose,) = find_metric("pose").plain(Poses(BOXES, SCORES, CLASSES, points), listing).objects  # type: ignore[union-attr]
    assert (pose.name, pose.score, pose.box) == ("dog", 0.9, (2, 4, 10, 8))
    assert pose.keypoints == ((0, 1), (2, 3))
    turned = np.array([[6.0, 6, 8, 4, 0], [2, 2, 4, 4, 0]])
    rotated = RotatedDetections(BOXES, SCORES, CLASSES, turned)
    (box,) = find_metric("obb").plain(rotated, listing).objects  # type: ignore[union-attr]
    assert box.outline == ((2, 4), (10, 4), (10, 8), (2, 8))
    mask = np.zeros((16, 32), np.uint8)
    mask[4:8, 2:10] = 1
    encoded = np.array([encode(mask), encode(mask)], object)
    masks = InstanceMasks(BOXES, SCORES, CLASSES, encoded)
    (cut,) = find_metric("mask").plain(masks, listing).objects  # type: ignore[union-attr]
    assert cut.mask is not None and np.array_equal(cut.mask, mask)
    metric = find_metric("pose")
    nearly = metric.plain(Poses(BOXES, SCORES, CLASSES, points), Listing(NAMES, nearly=True))
    assert len(nearly.objects) == 2  # type: ignore[union-attr]


def test_speech_maps_and_numbers() -> None:
    speech = plain("vad", np.array([[0.9, 0.2, 0.6, 0.7]]))
    assert speech == PredictedSpeech((0.9, 0.2, 0.6, 0.7), 0.5, ((0, 1), (2, 4)))
    higher = plain("vad-f1", np.array([[0.9, 0.2, 0.6, 0.7]]), threshold="0.65")
    assert isinstance(higher, PredictedSpeech) and higher.segments == ((0, 1), (3, 4))
    scores = np.zeros((1, 2, 2, 2))
    scores[0, 1, 0, 0] = 1
    classes = plain("miou", scores)
    assert isinstance(classes, PredictedMap) and classes.pixels.tolist() == [[1, 0], [0, 0]]
    assert classes.shares == (ClassShare(0, "cat", 0.75), ClassShare(1, "dog", 0.25))
    assert plain("cosine", np.array([[3.0, 4.0]])) == PredictedNumbers((0.6, 0.8))
    assert plain("mae", np.array([[3.0, 4.0]])) == PredictedNumbers((3.0, 4.0))


def test_places_go_back_to_the_picture_through_a_letterbox() -> None:
    picture = (100, 200)
    there = placement("letterbox", picture, (64, 64))
    mask = np.zeros((64, 64), bool)
    mask[20:30, 10:20] = True
    seen = objects(
        (1, 0.9, (10, 20, 20, 30)), outline=((10, 20),), keypoints=((20, 30),), mask=mask
    )
    back = in_picture(seen, there, picture)
    assert isinstance(back, PredictedObjects)
    (found,) = back.objects
    assert found.box == pytest.approx((31.25, 12.5, 62.5, 43.75))
    assert found.outline[0] == pytest.approx((31.25, 12.5))
    assert found.keypoints[0] == pytest.approx((62.5, 43.75))
    assert found.mask is not None and found.mask.shape == picture
    rows, columns = np.nonzero(found.mask)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (12, 43, 31, 61)
    # what lies in the padding is no part of the picture
    beside = in_picture(objects((1, 0.9, (-5, 0, 70, 60))), there, picture)
    assert beside.objects[0].box == (0, 0, 200, 100)  # type: ignore[union-attr]


def test_a_small_map_is_spread_over_a_cropped_picture() -> None:
    picture = (64, 128)
    there = placement("crop", picture, (64, 64))
    pixels = np.zeros((8, 8), np.uint8)
    pixels[:, 4:] = 1
    spread = in_picture(PredictedMap((), pixels), there, picture)
    assert isinstance(spread, PredictedMap) and spread.pixels.shape == picture
    assert np.unique(spread.pixels[:, :32]).tolist() == [OUTSIDE]
    assert np.unique(spread.pixels[:, 32:64]).tolist() == [0]
    assert np.unique(spread.pixels[:, 64:96]).tolist() == [1]


def test_what_became_of_each_object() -> None:
    first = objects(
        (0, 0.9, (0, 0, 10, 10)), (0, 0.8, (20, 0, 30, 10)), (0, 0.7, (40, 0, 50, 10)),
        (0, 0.6, (60, 0, 70, 10)), (1, 0.5, (80, 0, 90, 10)), (1, 0.2, (0, 50, 10, 60)),
    )  # fmt: skip
    second = objects(
        (0, 0.9, (0, 0, 10, 10)), (0, 0.8, (20, 2, 30, 12)), (0, 0.2, (40, 0, 50, 10)),
        (1, 0.6, (60, 0, 70, 10)), (1, 0.5, (0, 80, 10, 90)), (1, 0.4, (0, 50, 10, 60)),
    )  # fmt: skip
    found = difference_of(first, second, 0.3)
    fates = [pair.fate for pair in found.objects]
    assert fates == ["same", "moved", "lost", "renamed", "lost", "new", "new"]
    assert [pair.overlap for pair in found.objects][:4] == pytest.approx([1, 2 / 3, 1, 1])
    nearly, gone = found.objects[2], found.objects[4]
    assert nearly.after is not None and nearly.after.score == 0.2 and gone.after is None
    assert found.text == "2 lost, 2 new, 1 of another class, 1 moved"
    # two of five on either side are the same
    assert found.differs and found.likeness == pytest.approx(4 / 10)
    assert difference_of(first, first, 0.3) == Difference(
        False, "the same 5", "F1 of the objects", 1.0, difference_of(first, first, 0.3).objects
    )


def test_objects_are_compared_by_their_masks_or_rectangles() -> None:
    masks = [np.zeros((10, 10), bool) for _ in range(2)]
    masks[0][:, :5], masks[1][:, 3:8] = True, True
    box = (0, 0, 10, 10)
    one, other = (objects((0, 0.9, box), mask=mask) for mask in masks)
    # the boxes are one, the masks share 2 of 8 columns
    assert [each.fate for each in difference_of(one, other, 0.3).objects] == ["lost", "new"]
    flat, upright = ((0, 0), (10, 0), (10, 2), (0, 2)), ((0, 0), (2, 0), (2, 10), (0, 10))
    one, other = (objects((0, 0.9, box), outline=points) for points in (flat, upright))
    assert [each.fate for each in difference_of(one, other, 0.3).objects] == ["lost", "new"]


def test_differences_of_other_tasks() -> None:
    def classes(index: int, score: float) -> PredictedClasses:
        return PredictedClasses((ScoredClass(index, NAMES[index], score),))

    said = difference_of(classes(0, 0.9), classes(1, 0.6), 0)
    assert said == Difference(True, "cat 0.90 -> dog 0.60", "same class", 0.0)
    said = difference_of(classes(0, 0.9), classes(0, 0.6), 0)
    assert said == Difference(False, "cat 0.90 -> 0.60", "same class", 1.0)
    said = difference_of(PredictedText("kitten", 1), PredictedText("sitting", 1), 0)
    assert said.text == "3 of 7 characters" and said.likeness == pytest.approx(4 / 7)
    one, other = (np.array([row]) for row in ([0, 0, 1, OUTSIDE], [0, 1, 1, 5]))
    said = difference_of(PredictedMap((), one), PredictedMap((), other), 0)
    assert (said.text, said.likeness) == ("33.3% of the pixels, mean IoU 0.500", 0.5)
    heard, quieter = (PredictedSpeech(values, 0.5, ()) for values in ((0.9, 0.1), (0.9, 0.6)))
    said = difference_of(heard, quieter, 0)
    assert (said.text, said.likeness) == ("1 of 2 frames on the other side", 0.5)
    said = difference_of(PredictedNumbers((1.0, 0.0)), PredictedNumbers((0.0, 1.0)), 0)
    assert said == Difference(True, "cosine 0.0000, at most 1 off", "cosine", 0.0)
    row = OutputStatistics("y", (2,), 0, 0, 0)
    outputs = PredictedOutputs((row,), (np.zeros(2),))
    assert not difference_of(outputs, PredictedOutputs((row,), (np.zeros(2),)), 0).differs


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ModelError, match="one model gives text, the other numbers"):
        difference_of(PredictedText("", 0), PredictedNumbers(()), 0)
    with pytest.raises(ModelError, match=r"outputs of \[1\] and \[2\] numbers"):
        difference_of(PredictedNumbers((1.0,)), PredictedNumbers((1.0, 2.0)), 0)
    with pytest.raises(ModelError, match="1 and 0 frames"):
        difference_of(PredictedSpeech((0.1,), 0.5, ()), PredictedSpeech((), 0.5, ()), 0)


def test_a_comparison_holds_what_is_said_of_the_worst_samples() -> None:
    # rows of corners, score and class
    first = np.array([[[0.0, 0, 8, 8, 0.9, 0], [8, 8, 16, 16, 0.8, 1]]])
    second = first.copy()
    second[0, 1, 4] = 0.2
    truth = make_boxes(first[0, :, :4], np.array([0, 1]))
    labels = Labels("boxes", (truth,), names=NAMES)
    scoring = bind_metric("map50", {"head": "end2end"}, input_size=(16, 16))
    comparison = compare([first], [second], labels, scoring)
    ((prediction, difference),) = comparison.predictions
    assert isinstance(prediction, PredictedObjects) and difference.text == "1 lost"
    lost = difference.objects[1]
    assert lost.after is not None and (lost.after.name, lost.after.score) == ("dog", 0.2)


def test_a_users_metric_says_something_that_can_be_drawn_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (
        "from rockpress.accuracy.metrics.classification import TopK\n"
        "class Wrong(TopK):\n"
        "    def plain(self, prediction, listing):\n"
        "        return 'cat'\n"
        "class Fine(TopK):\n"
        "    pass\n"
    )
    (tmp_path / "plain_metrics.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    row = np.array([0.9, 0.1])
    with pytest.raises(OptionError, match=r"plain_metrics:Wrong' failed.*plain\(\) gave str"):
        find_metric("plain_metrics:Wrong").plain(row, Listing())
    fine = find_metric("plain_metrics:Fine").plain(row, Listing(NAMES, most=1))
    assert fine == PredictedClasses((ScoredClass(0, "cat", 0.9),))
