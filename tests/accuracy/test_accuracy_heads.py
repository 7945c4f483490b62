"""Heads of detectors against decoders that go cell by cell, as their authors write them down."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from rockpress.accuracy.metrics.head_table import Head, decode_boxes, parse_anchors
from rockpress.accuracy.metrics.metric_table import find_metric
from rockpress.core.errors import OptionError, SamplesError
from rockpress.core.types import Array

SIZE = (40, 64)  # not all strides divide it
EVEN = (64, 96)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def cells(stride: int, size: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Row and column of every cell."""
    for row in range(math.ceil(size[0] / stride)):
        for column in range(math.ceil(size[1] / stride)):
            yield row, column


def maps(channels: int, size: tuple[int, int], strides: tuple[int, ...], seed: int) -> list[Array]:
    random = np.random.default_rng(seed)
    shapes = [(math.ceil(size[0] / stride), math.ceil(size[1] / stride)) for stride in strides]
    return [random.normal(size=(2, channels, *shape)).astype(np.float32) for shape in shapes]


def decoded(
    outputs: list[Array], head: Head, size: tuple[int, int], index: int = 1
) -> tuple[Array, Array]:
    return list(decode_boxes(outputs, head, size))[index]


def yolox_cell_by_cell(
    grids: list[Array], index: int
) -> tuple[list[list[float]], list[list[float]]]:
    boxes, scores = [], []
    for planes, stride in zip(grids, (8, 16, 32), strict=True):
        for row, column in cells(stride, EVEN):
            x, y, w, h, objectness, *classes = (float(v) for v in planes[index, :, row, column])
            middle = ((x + column) * stride, (y + row) * stride)
            half = (math.exp(w) * stride / 2, math.exp(h) * stride / 2)
            boxes.append([middle[0] - half[0], middle[1] - half[1]])
            boxes[-1] += [middle[0] + half[0], middle[1] + half[1]]
            scores.append([sigmoid(objectness) * sigmoid(value) for value in classes])
    return boxes, scores


@pytest.mark.parametrize("classes", [1, 3, 4])
def test_yolox_in_each_of_its_forms(classes: int) -> None:
    grids = maps(5 + classes, EVEN, (8, 16, 32), classes)
    boxes, scores = yolox_cell_by_cell(grids, 1)
    rows = np.concatenate([g.reshape(2, 5 + classes, -1) for g in grids], axis=2).transpose(0, 2, 1)
    halved = rows.copy()
    halved[..., 4:] = 1 / (1 + np.exp(-rows[..., 4:]))  # as exported, scores are no logits
    apart = [part for g in grids for part in (g[:, :4], g[:, 4:5], g[:, 5:])]
    for outputs in (grids, [rows], [halved], apart, apart[::-1] if classes == 3 else apart):
        corners, values = decoded(list(outputs), "yolox", EVEN)
        np.testing.assert_allclose(corners, boxes, rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(values, scores, rtol=1e-5, atol=1e-6)


def distances_cell_by_cell(
    sides: list[Array], strides: tuple[int, ...], bins: int
) -> list[list[float]]:
    boxes = []
    for planes, stride in zip(sides, strides, strict=True):
        for row, column in cells(stride, SIZE):
            values = planes[1, :, row, column].astype(float).reshape(4, bins)
            distances = []
            for logits in values:
                odds = [math.exp(logit) for logit in logits]
                mean = sum(bin * odd for bin, odd in enumerate(odds)) / sum(odds)
                distances.append(mean if bins > 1 else logits[0])
            left, top, right, bottom = (stride * distance for distance in distances)
            x, y = (column + 0.5) * stride, (row + 0.5) * stride
            boxes.append([x - left, y - top, x + right, y + bottom])
    return boxes


@pytest.mark.parametrize(
    ("head", "bins", "strides"),
    [
        ("picodet", 8, (8, 16, 32, 64)),
        ("pp-yoloe", 17, (8, 16, 32)),
        ("yolov6", 17, (8, 16, 32)),
        ("yolov6", 1, (8, 16, 32)),
    ],
)
def test_distances_as_distributions(head: Head, bins: int, strides: tuple[int, ...]) -> None:
    sides, classes = maps(4 * bins, SIZE, strides, 1), maps(5, SIZE, strides, 2)
    boxes = distances_cell_by_cell(sides, strides, bins)
    expected = [
        [sigmoid(v) for v in planes[1, :, row, column].astype(float)]
        for planes, stride in zip(classes, strides, strict=True)
        for row, column in cells(stride, SIZE)
    ]
    rows = [
        planes.reshape(2, len(planes[0]), -1).transpose(0, 2, 1) for planes in [*classes, *sides]
    ]
    sums = [planes.sum(axis=1, keepdims=True) for planes in classes]
    for outputs in ([*classes, *sides], rows, [*sides, *classes, *sums]):
        corners, values = decoded(outputs, head, SIZE)
        np.testing.assert_allclose(corners, boxes, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-6)


def test_picodet_with_classes_and_distances_in_one_map() -> None:
    strides = (8, 16, 32, 64)
    sides, classes = maps(32, SIZE, strides, 1), maps(5, SIZE, strides, 2)
    joined = [np.concatenate(pair, axis=1) for pair in zip(classes, sides, strict=True)]
    corners, values = decoded(joined, "picodet", SIZE)
    np.testing.assert_allclose(
        corners, distances_cell_by_cell(sides, strides, 8), rtol=1e-4, atol=1e-3
    )
    assert values.shape == (len(corners), 5)


def test_retinaface_as_rows_and_as_maps() -> None:
    strides, priors = (8, 16, 32), {8: (16, 32), 16: (64, 128), 32: (256, 512)}
    grids = [maps(2 * count, SIZE, strides, count) for count in (4, 2, 10)]
    boxes, scores = [], []
    for scale, stride in enumerate(strides):
        for row, column in cells(stride, SIZE):
            for prior, side in enumerate(priors[stride]):
                values = grids[0][scale][1, :, row, column].astype(float)[4 * prior :][:4]
                no, face = grids[1][scale][1, :, row, column].astype(float)[2 * prior :][:2]
                x = (column + 0.5) * stride + values[0] * 0.1 * side
                y = (row + 0.5) * stride + values[1] * 0.1 * side
                w, h = (side * math.exp(value * 0.2) for value in values[2:])
                boxes.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
                scores.append([math.exp(face) / (math.exp(no) + math.exp(face))])
    flat = [
        np.concatenate([g.transpose(0, 2, 3, 1).reshape(2, -1, count) for g in grid], axis=1)
        for grid, count in zip(grids, (4, 2, 10), strict=True)
    ]
    odds = np.exp(flat[1]) / np.exp(flat[1]).sum(axis=2, keepdims=True)
    for outputs in (flat, [flat[2], odds, flat[0]], [g for grid in grids for g in grid]):
        corners, values = decoded(outputs, "retinaface", SIZE)
        np.testing.assert_allclose(corners, boxes, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(values, scores, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("anchors", "strides"), [(2, (8, 16, 32)), (1, (8, 16, 32, 64, 128))])
def test_scrfd_has_a_box_or_two_at_each_corner_of_a_cell(
    anchors: int, strides: tuple[int, ...]
) -> None:
    size, random = (128, 256), np.random.default_rng(0)
    counts = [anchors * len(list(cells(stride, size))) for stride in strides]
    scores = [random.uniform(size=(2, count, 1)) for count in counts]
    sides = [random.uniform(0, 5, size=(2, count, 4)) for count in counts]
    boxes = []
    for values, stride in zip(sides, strides, strict=True):
        rows = iter(values[1])
        for row, column in cells(stride, size):
            for _ in range(anchors):
                left, top, right, bottom = next(rows) * stride
                x, y = column * stride, row * stride
                boxes.append([x - left, y - top, x + right, y + bottom])
    marks = [random.normal(size=(2, count, 10)) for count in counts]
    corners, values = decoded([*scores, *sides, *marks], "scrfd", size)
    np.testing.assert_allclose(corners, boxes, rtol=1e-6)
    np.testing.assert_allclose(values, np.concatenate([each[1] for each in scores]), rtol=1e-6)


@pytest.mark.parametrize("head", ["yolox", "yolov6", "pp-yoloe", "picodet", "retinaface", "scrfd"])
def test_outputs_of_other_shapes_are_refused(head: Head) -> None:
    for outputs in ([np.zeros((1, 7, 9))], [np.zeros((1, 10))], [np.zeros((1, 4, 3, 3))] * 2):
        with pytest.raises(SamplesError, match="head"):
            list(decode_boxes(outputs, head, SIZE))


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_rtdetr_gives_shares_with_scores_or_with_a_class(classes: int) -> None:
    random, (height, width) = np.random.default_rng(classes), SIZE
    rows = random.uniform(0.1, 0.4, (2, 7, 4 + classes))
    kind = random.integers(0, classes, (2, 7, 1))
    score = np.take_along_axis(rows[..., 4:], kind, axis=2)
    selected = np.concatenate([rows[..., :4], score, kind], axis=2)
    corners, scores = decoded([rows], "rtdetr", SIZE)
    np.testing.assert_allclose(scores, rows[1, :, 4:])
    for (x, y, w, h), corner in zip(rows[1, :, :4], corners, strict=True):
        left, top, right, bottom = x - w / 2, y - h / 2, x + w / 2, y + h / 2
        expected = [left * width, top * height, right * width, bottom * height]
        assert corner.tolist() == pytest.approx(expected)
    again, chosen = decoded([selected], "rtdetr", SIZE)
    np.testing.assert_array_equal(again, corners)
    places = kind[1, :, 0]
    np.testing.assert_allclose(chosen[np.arange(7), places], score[1, :, 0])
    assert np.count_nonzero(chosen > 0) == 7


def test_anchors_of_ones_own() -> None:
    maps_of_scales = maps(3 * 6, EVEN, (8, 16, 32), 3)
    usual, _ = decoded(maps_of_scales, "yolov5", EVEN)
    text = "20,26,32,60,66,46,60,122,124,90,118,238,232,180,312,396,746,652"
    doubled, _ = list(decode_boxes(maps_of_scales, "yolov5", EVEN, parse_anchors(text)))[1]
    np.testing.assert_allclose(doubled[:, 2:] - doubled[:, :2], 2 * (usual[:, 2:] - usual[:, :2]))
    with pytest.raises(OptionError, match="three widths"):
        find_metric("map50", {"anchors": "1,2,3"})


def test_a_pose_model_may_find_nothing() -> None:
    metric = find_metric("pose50", {"keypoints": "2"}).bound((64, 64))
    (poses,) = metric.predict([np.zeros((1, 4 + 1 + 6, 84))])
    assert poses.keypoints.shape == (0, 2, 2)
