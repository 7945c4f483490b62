"""Poses, rotated boxes and masks: their average precision against others', their heads by hand."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from rockpress.accuracy.compare import compare
from rockpress.accuracy.metrics.average_precision import image_f1
from rockpress.accuracy.metrics.instance_masks import InstanceMasks, MaskPrecision
from rockpress.accuracy.metrics.metric_table import bind_metric, find_metric
from rockpress.accuracy.metrics.pose import Poses
from rockpress.accuracy.metrics.rotated_boxes import rotated_overlaps, vertices_of
from rockpress.accuracy.metrics.rotated_detection import RotatedDetections
from rockpress.calibration_data.sources.boxes import Boxes, make_boxes
from rockpress.calibration_data.sources.instance_shapes import InstanceShape, encode
from rockpress.calibration_data.sources.labels import Labels
from rockpress.core.errors import SamplesError

Array = NDArray[Any]
SIZE = (64, 96)


def by_pycocotools(
    task: str, truths: Sequence[Boxes], rows: list[dict[str, Any]], extra: list[dict[str, Any]]
) -> tuple[float, float]:
    """Return AP and AP50; ``extra`` is what each object has beside its box, all images in order."""
    annotations = [
        {
            "image_id": image,
            "category_id": int(label),
            "bbox": [*corners[:2], *(corners[2:] - corners[:2])],
            "area": float(area),
            "iscrowd": int(crowd),
        }
        for image, boxes in enumerate(truths)
        for corners, label, area, crowd in zip(
            boxes.corners, boxes.classes, boxes.areas, boxes.crowd, strict=True
        )
    ]
    annotations = [
        {**row, **more, "id": number}
        for number, (row, more) in enumerate(zip(annotations, extra, strict=True), start=1)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": i, "height": SIZE[0], "width": SIZE[1]} for i in range(len(truths))],
            "annotations": annotations,
            "categories": [{"id": label} for label in range(3)],
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(rows), task)
        evaluation.params.catIds = sorted({int(x) for boxes in truths for x in boxes.classes})
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0]), float(evaluation.stats[1])


# Poses


def poses(count: int, points: int, seed: int) -> tuple[list[Boxes], list[Poses]]:
    """People with some points unlabelled, a crowd here and there, and a model that errs."""
    random = np.random.default_rng(seed)
    truths, detections = [], []
    for _ in range(count):
        size = int(random.integers(0, 5))
        corner = random.uniform(0, 50, (size, 2))
        sides = random.uniform(8, 40, (size, 2))
        corners = np.concatenate([corner, corner + sides], axis=1)
        places = corner[:, None] + random.random((size, points, 2)) * sides[:, None]
        seen = random.integers(0, 3, (size, points)) * (random.random((size, 1)) < 0.85)
        truths.append(
            make_boxes(
                corners,
                np.zeros(size, int),
                random.random(size) < 0.1,
                sides.prod(axis=1) * random.uniform(0.4, 0.9, size),
                np.concatenate([places, seen[..., None]], axis=2),
            )
        )
        again = np.concatenate([np.arange(size), random.integers(0, size, 2) if size else []])
        again = again.astype(int)
        moved = places[again] + random.normal(0, 2.0, (len(again), points, 2))
        scores = np.sort(random.random(len(again)))[::-1]
        detections.append(Poses(corners[again], scores, np.zeros(len(again), int), moved))
    return truths, detections


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_of_poses_is_that_of_pycocotools(seed: int) -> None:
    truths, detections = poses(25, 17, seed)
    rows = [
        {
            "image_id": image,
            "category_id": 0,
            "score": float(score),
            "keypoints": np.concatenate([points, np.ones((17, 1))], axis=1).ravel().tolist(),
        }
        for image, each in enumerate(detections)
        for points, score in zip(each.keypoints, each.scores, strict=True)
    ]
    extra = [
        {"keypoints": points.ravel().tolist(), "num_keypoints": int((points[:, 2] > 0).sum())}
        for boxes in truths
        if boxes.keypoints is not None
        for points in boxes.keypoints
    ]
    expected = by_pycocotools("keypoints", truths, rows, extra)
    labels = Labels("keypoints", tuple(truths))
    for name, value in zip(("pose", "pose50"), expected, strict=True):
        assert 0.05 < value < 1
        assert find_metric(name).measure(detections, labels).value == pytest.approx(value, abs=1e-9)


def test_points_of_other_numbers_share_one_sigma() -> None:
    truth = make_boxes(
        np.array([[0.0, 0, 10, 10]]),
        np.array([0]),
        areas=np.array([80.0]),
        keypoints=np.array([[[2.0, 2, 2], [8, 8, 2], [5, 5, 0], [0, 0, 0]]]),
    )
    places = np.array([[[2.0, 5], [8, 8], [0, 0], [9, 9]]])
    made = Poses(truth.corners, np.ones(1), np.zeros(1, int), places)
    expected = (np.exp(-9 / (2 * 80 * (2 / 4) ** 2)) + 1) / 2
    metric = find_metric("pose")
    table = metric.matching.overlaps(made, truth)  # type: ignore[attr-defined]
    assert table.tolist() == [[pytest.approx(expected)]]
    with pytest.raises(SamplesError, match="labels have 4 keypoints, but the model 3"):
        metric.matching.overlaps(  # type: ignore[attr-defined]
            Poses(truth.corners, np.ones(1), np.zeros(1, int), places[:, :3]), truth
        )


BOX = np.array([16.0, 8.0, 56.0, 40.0])
POINTS = np.array([[20.0, 12, 1], [50, 36, 1], [36, 24, 1]])


def logit(value: Any) -> Any:
    return np.log(value / (1 - value))


def raw_sides(stride: int, box: Array, binned: bool) -> tuple[Array, int, int]:
    """Maps of sides of one scale, with a box in the cell at its middle; and that cell."""
    height, width = SIZE[0] // stride, SIZE[1] // stride
    column, row = (int(v) for v in (box[:2] + box[2:]) / 2 // stride)
    x, y = (column + 0.5) * stride, (row + 0.5) * stride
    distances = np.array([x - box[0], y - box[1], box[2] - x, box[3] - y]) / stride
    if not binned:
        sides = np.zeros((1, 4, height, width))
        sides[0, :, row, column] = distances
        return sides, row, column
    bins = np.full((1, 4, 16, height, width), 0.0)
    for side, distance in enumerate(distances):
        low, share = divmod(distance, 1)
        bins[0, side, :, row, column] = -60
        bins[0, side, int(low), row, column] = np.log(1 - share)
        if share:
            bins[0, side, int(low) + 1, row, column] = np.log(share)
    return bins.reshape(1, 64, height, width), row, column


def raw_maps(extra: Any, box: Array, binned: bool, classes: int = 1) -> list[Array]:
    """Maps of three scales, with one object at stride 16; ``extra(x, y)`` gives its numbers.

    The middle of its cell, x and y, is in cells.
    """
    outputs: list[Array] = []
    for stride in (8, 16, 32):
        sides, row, column = raw_sides(stride, box, binned)
        numbers = np.asarray(extra(column + 0.5, row + 0.5, stride))
        scores = np.full((1, classes, *sides.shape[2:]), -12.0)
        more = np.zeros((1, len(numbers), *sides.shape[2:]))
        if stride == 16:
            scores[0, classes - 1, row, column] = 4
            more[0, :, row, column] = numbers
        outputs += [sides, scores, more]
    return outputs


def raw_points(binned: bool) -> list[Array]:
    def numbers(x: float, y: float, stride: int) -> Array:
        places = POINTS.copy()
        places[:, :2] = places[:, :2] / stride - [x, y]
        if binned:
            places[:, :2] = (places[:, :2] + 0.5) / 2
        return places.ravel()

    return raw_maps(numbers, BOX, binned)


def rows_of(first: Array, extra: Array, classes: int = 1) -> Array:
    """(1, 4 + C + E, A) with one object among many that are nothing."""
    rows = np.zeros((40, 4 + classes + len(extra)))
    rows[:, :4] = [5, 5, 4, 4]
    rows[:, 4 : 4 + classes] = 0.0001
    rows[7, :4], rows[7, 3 + classes], rows[7, 4 + classes :] = first, 0.9, extra
    return rows.T[np.newaxis]


def selected(first: Array, extra: Array, label: int = 0) -> Array:
    """(1, A, 6 + E) of a model that selects boxes itself."""
    rows = np.zeros((1, 30, 6 + len(extra)))
    rows[0, 0] = [*first, 0.9, label, *extra]
    return rows


CENTRED = np.array([36.0, 24, 40, 32])
POSE_HEADS = {
    "rows": [rows_of(CENTRED, POINTS.ravel())],
    "rows without visibility": [rows_of(CENTRED, np.append(POINTS[:, :2], [[1, 2]]))],
    "selected": [selected(BOX, POINTS.ravel())],
    "raw": raw_points(True),
    "raw of YOLO26": raw_points(False),
}


@pytest.mark.parametrize("name", POSE_HEADS)
def test_pose_heads_give_the_points_that_they_hold(name: str) -> None:
    metric = find_metric("pose", {"score": "0.3"}).bound(SIZE)
    (made,) = metric.predict(POSE_HEADS[name])
    np.testing.assert_allclose(made.corners, [BOX], atol=1e-6)
    np.testing.assert_allclose(made.keypoints[0, :3], POINTS[:, :2], atol=1e-6)
    assert made.classes.tolist() == [0] and made.scores[0] > 0.8


def test_a_pose_head_of_several_classes_needs_the_number_of_points() -> None:
    output = rows_of(CENTRED, POINTS.ravel(), classes=4)
    metric = find_metric("pose", {"keypoints": "3", "score": "0.3"}).bound(SIZE)
    (made,) = metric.predict([output])
    np.testing.assert_allclose(made.keypoints, [POINTS[:, :2]])
    assert made.classes.tolist() == [3]
    flat = rows_of(CENTRED, POINTS[:, :2].ravel(), classes=9)
    options = {"keypoints": "3", "numbers": "2", "score": "0.3"}
    (made,) = find_metric("pose", options).bound(SIZE).predict([flat])
    np.testing.assert_allclose(made.keypoints, [POINTS[:, :2]])
    assert made.classes.tolist() == [8]
    with pytest.raises(SamplesError, match="hold no keypoints"):
        find_metric("pose").bound(SIZE).predict([np.zeros((1, 5, 400))])


# Rotated boxes


def slow_overlap(one: Array, other: Array) -> float:
    """IoU of two convex polygons: one is cut along every edge of the other."""

    def area(points: Array) -> float:
        x, y = points.T
        return abs(float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))) / 2

    rest = list(one)
    centre = other.mean(axis=0)
    for start, end in zip(other, np.roll(other, -1, axis=0), strict=True):
        normal = np.array([start[1] - end[1], end[0] - start[0]])
        normal = normal * np.sign(normal @ (centre - start))
        cut: list[Array] = []
        for place, point in enumerate(rest):
            before = rest[place - 1]
            inside, was = normal @ (point - start), normal @ (before - start)
            if (inside >= 0) != (was >= 0):
                cut.append(before + (point - before) * was / (was - inside))
            if inside >= 0:
                cut.append(point)
        rest = cut
        if len(rest) < 3:
            return 0.0
    shared = area(np.array(rest))
    return shared / (area(one) + area(other) - shared)


def rectangles(count: int, seed: int) -> Array:
    random = np.random.default_rng(seed)
    return np.column_stack(
        [
            random.uniform(0, 90, count),
            random.uniform(0, 60, count),
            random.uniform(4, 50, (count, 2)),
            random.uniform(-4, 4, count),
        ]
    )


def test_rotated_overlaps_are_those_of_the_polygons() -> None:
    first, second = rectangles(40, 0), rectangles(30, 1)
    second[:10] = first[:10]
    table = rotated_overlaps(first, second)
    expected = [[slow_overlap(a, b) for b in vertices_of(second)] for a in vertices_of(first)]
    np.testing.assert_allclose(table, expected, atol=2e-5)
    assert (table > 0.1).sum() > 50 and np.diag(table)[:10].min() > 0.9999


def slow_precision(truths: list[Boxes], made: list[RotatedDetections], threshold: float) -> float:
    """AP of one class by its definition: 101 recalls, the best precision from each on."""
    rows = []
    for image, (truth, each) in enumerate(zip(truths, made, strict=True)):
        assert truth.shapes is not None
        outlines = [shape.polygons[0] for shape in truth.shapes]
        free = set(range(len(outlines)))
        for score, rectangle in sorted(
            zip(each.scores, vertices_of(each.rectangles), strict=True), key=lambda row: -row[0]
        ):
            overlaps = {place: slow_overlap(rectangle, outlines[place]) for place in free}
            best = max(overlaps, key=lambda place: overlaps[place], default=None)
            hit = best is not None and overlaps[best] >= threshold
            if hit and best is not None:
                free.remove(best)
            rows.append((score, image, hit))
    rows.sort(key=lambda row: -row[0])
    right = np.cumsum([hit for _, _, hit in rows])
    recall = right / sum(len(truth) for truth in truths)
    precision = right / np.arange(1, len(rows) + 1)
    steps = [precision[recall >= level].max(initial=0) for level in np.linspace(0, 1, 101)]
    return float(np.mean(steps))


def rotated_scenes(count: int, seed: int) -> tuple[list[Boxes], list[RotatedDetections]]:
    random = np.random.default_rng(seed)
    truths, made = [], []
    for image in range(count):
        objects = rectangles(int(random.integers(1, 5)), seed + image)
        shapes = tuple(InstanceShape((outline,)) for outline in vertices_of(objects))
        corners = np.array([shape.corners() for shape in shapes])
        truths.append(make_boxes(corners, np.zeros(len(shapes), int), shapes=shapes))
        moved = np.concatenate([objects, rectangles(2, seed + image + 99)])
        moved = moved + random.normal(0, [2, 2, 2, 2, 0.05], moved.shape)
        moved[:, 2:4] = np.abs(moved[:, 2:4])
        scores = random.random(len(moved))
        none = np.zeros((len(moved), 4))
        made.append(RotatedDetections(none, scores, np.zeros(len(moved), int), moved))
    return truths, made


def test_average_precision_of_rotated_boxes_is_that_of_its_definition() -> None:
    truths, made = rotated_scenes(12, 5)
    labels = Labels("rotated-boxes", tuple(truths))
    expected = [slow_precision(truths, made, limit) for limit in np.linspace(0.5, 0.95, 10)]
    assert 0.2 < np.mean(expected) < 0.9
    assert find_metric("obb").measure(made, labels).value == pytest.approx(np.mean(expected))
    assert find_metric("obb50").measure(made, labels).value == pytest.approx(expected[0])


RECTANGLE = np.array([36.0, 24.0, 40.0, 12.0])
ANGLE = 0.7


def raw_rectangles(binned: bool) -> list[Array]:
    """The box's sides are those of the rectangle turned upright about the cell's middle."""
    column, row = 2, 1  # the cell of stride 16 that holds the centre
    cos, sin = np.cos(ANGLE), np.sin(ANGLE)
    x, y = RECTANGLE[:2] - [(column + 0.5) * 16, (row + 0.5) * 16]
    across, down = x * cos + y * sin, y * cos - x * sin
    middle = np.array([(column + 0.5) * 16, (row + 0.5) * 16])
    half = RECTANGLE[2:] / 2
    moved = middle + np.array([across, down])
    upright = np.concatenate([moved - half, moved + half])
    number = logit(ANGLE / np.pi + 0.25) if binned else ANGLE
    outputs = []
    for stride in (8, 16, 32):
        maps = raw_maps(lambda *_: [number], upright, binned, 3)
        outputs += [one for one in maps if one.shape[2] == SIZE[0] // stride]
    return outputs


OBB_HEADS = {
    "rows": [rows_of(RECTANGLE, np.array([ANGLE]), classes=3)],
    "selected": [selected(RECTANGLE, np.array([ANGLE]), 2)],
    "raw": raw_rectangles(True),
    "raw of YOLO26": raw_rectangles(False),
}


@pytest.mark.parametrize("name", OBB_HEADS)
def test_rotated_heads_give_the_rectangles_that_they_hold(name: str) -> None:
    metric = find_metric("obb", {"score": "0.3"}).bound(SIZE)
    (made,) = metric.predict(OBB_HEADS[name])
    np.testing.assert_allclose(made.rectangles, [[*RECTANGLE, ANGLE]], atol=1e-6)
    assert made.classes.tolist() == [2]


def test_the_best_of_overlapping_rectangles_of_a_class_stays() -> None:
    rows = np.zeros((1, 4 + 2 + 1, 40))
    thin = [40.0, 30, 60, 4]
    # across each other: the boxes around them are the same, the rectangles hardly overlap
    for anchor, (score, angle) in enumerate([(0.6, 0.8), (0.9, 0.8), (0.7, -0.8)]):
        rows[0, :, anchor] = [*thin, score, 0, angle]
    rows[0, :, 3] = [*thin, 0, 0.5, 0.8]
    (made,) = find_metric("obb", {"score": "0.1"}).bound(SIZE).predict([rows])
    assert made.scores.tolist() == [0.9, 0.7, 0.5] and made.classes.tolist() == [0, 0, 1]


# Masks of instances


def mask_scenes(count: int, seed: int) -> tuple[list[Boxes], list[InstanceMasks]]:
    """Polygons and run lengths of two classes, one in five a crowd, and masks that are shifted."""
    random = np.random.default_rng(seed)
    truths, made = [], []
    for _ in range(count):
        size = int(random.integers(1, 5))
        shapes, masks = [], []
        for number in range(size):
            middle = random.uniform([20, 15], [75, 50])
            angles = np.sort(random.uniform(0, 2 * np.pi, 7))
            radius = random.uniform(5, 18, (7, 1))
            points = middle + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
            drawn = coco_masks.decode(
                coco_masks.merge(coco_masks.frPyObjects([points.ravel().tolist()], *SIZE))
            )
            shapes.append(InstanceShape((points,)) if number % 2 else of_mask(drawn))
            masks.append(np.roll(drawn, random.integers(-3, 4, 2), (0, 1)))
        classes = random.integers(0, 2, size)
        crowd = random.random(size) < 0.2
        corners = np.tile([0.0, 0, 96, 64], (size, 1))
        truths.append(make_boxes(corners, classes, crowd, shapes=tuple(shapes)))
        encoded = np.empty(size, object)
        encoded[:] = [encode(mask) for mask in masks]
        made.append(InstanceMasks(corners, random.random(size), classes, encoded))
    return truths, made


def of_mask(mask: Array) -> InstanceShape:
    flat = mask.ravel(order="F")
    ends = [0, *(np.flatnonzero(np.diff(flat)) + 1), len(flat)]
    runs = np.diff(ends)
    return InstanceShape(runs=np.array([0, *runs] if flat[0] else runs), size=SIZE)


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_of_masks_is_that_of_pycocotools(seed: int) -> None:
    truths, made = mask_scenes(25, seed)
    rows = [
        {"image_id": image, "category_id": int(label), "score": float(score), "segmentation": mask}
        for image, each in enumerate(made)
        for mask, score, label in zip(each.masks, each.scores, each.classes, strict=True)
    ]
    extra = [
        {
            "segmentation": [shape.polygons[0].ravel().tolist()]
            if shape.polygons
            else {"size": list(SIZE), "counts": np.asarray(shape.runs).tolist()}
        }
        for truth in truths
        for shape in truth.shapes or ()
    ]
    expected = by_pycocotools("segm", truths, rows, extra)
    labels = Labels("instance-masks", tuple(truths))
    for name, value in zip(("mask", "mask50"), expected, strict=True):
        assert 0.1 < value < 1
        measured = find_metric(name).bound(SIZE).measure(made, labels)
        assert measured.value == pytest.approx(value, abs=1e-9)


def prototypes() -> Array:
    """Three prototypes (1, 3, 16, 24): everything, the left half, and the upper half."""
    planes = np.ones((1, 3, 16, 24))
    planes[0, 1, :, 12:] = -1
    planes[0, 2, 8:] = -1
    return planes


MASK_HEADS = {
    "rows": [rows_of(CENTRED, np.array([0.1, 1, 0])), prototypes()],
    "prototypes first": [prototypes(), rows_of(CENTRED, np.array([0.1, 1, 0]))],
    "selected": [selected(BOX, np.array([0.1, 1, 0])), prototypes()],
    "raw": [*raw_maps(lambda *_: [0.1, 1, 0], BOX, True, 2), prototypes()],
    "raw of YOLO26": [*raw_maps(lambda *_: [0.1, 1, 0], BOX, False, 2), prototypes()],
}


@pytest.mark.parametrize("name", MASK_HEADS)
def test_masks_are_sums_of_prototypes_cut_to_their_boxes(name: str) -> None:
    metric = find_metric("mask", {"score": "0.3"}).bound(SIZE)
    (made,) = metric.predict(MASK_HEADS[name])
    expected = np.zeros(SIZE, np.uint8)
    # half of the prototypes' cells is at column 48; the step is half way between two cells
    expected[8:40, 16:48] = 1
    mask = coco_masks.decode(made.masks[0])
    assert len(made) == 1 and (mask != expected).sum() <= 32  # a column, where the sum is 0.1
    assert not mask[:8].any() and not mask[:, 56:].any()


def test_outputs_without_prototypes_are_refused() -> None:
    with pytest.raises(SamplesError, match="hold no boxes and prototypes"):
        find_metric("mask").bound(SIZE).predict([np.zeros((1, 40, 100))])


# All of them


def test_a_worse_model_keeps_less_and_differs_from_the_better_one() -> None:
    maps = prototypes().repeat(8, axis=0)
    rows = np.concatenate([rows_of(CENTRED, np.array([0.1, 1, 0]))] * 8)
    worse = rows.copy()
    worse[:3, -3:, :] = [[[0.1], [-1], [0]]]  # the other half
    metric = find_metric("mask", {"score": "0.3"}).bound(SIZE)
    assert isinstance(metric, MaskPrecision)
    truths = tuple(metric._labelled(each) for each in metric.predict([rows, maps]))
    scoring = bind_metric("mask", {"score": "0.3"}, input_size=SIZE)
    result = compare([rows, maps], [worse, maps], Labels("instance-masks", truths), scoring)
    assert result.baseline_value == 1 and result.candidate_value is not None
    assert result.retention is not None and result.retention.low is not None
    assert result.retention.low < result.candidate_value < 1
    assert result.changes is not None and result.changes.lost == (0, 1, 2)
    assert result.agreement == pytest.approx(5 / 8)


def test_an_image_without_objects_is_right_when_nothing_is_predicted() -> None:
    nothing = make_boxes(np.zeros((0, 4)), np.zeros(0, int), shapes=())
    none = InstanceMasks(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), np.empty(0, object))
    metric = find_metric("mask").bound(SIZE)
    assert image_f1(none, nothing, metric.matching) == 1  # type: ignore[attr-defined]


def test_objects_without_the_part_that_is_scored_are_named() -> None:
    plain = make_boxes(np.array([[0.0, 0, 5, 5]]), np.array([0]))
    labels = Labels("keypoints", (plain,), origin="{}.txt".format)
    none = InstanceMasks(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), np.empty(0, object))
    with pytest.raises(SamplesError, match=r"0\.txt: not every object has what mask50 scores"):
        find_metric("mask50").bound(SIZE).measure([none], labels)
    with pytest.raises(SamplesError, match="labels are boxes, but the metric is for keypoints"):
        find_metric("pose").bound(SIZE).measure([none], Labels("boxes", (plain,)))
