"""Detection: average precision against pycocotools, and the heads against boxes drawn by hand."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from rockpress.accuracy.compare import compare
from rockpress.accuracy.metrics.average_precision import COCO_THRESHOLDS, AveragePrecision
from rockpress.accuracy.metrics.detections import Detections, select_boxes
from rockpress.accuracy.metrics.detector_heads import ANCHORS
from rockpress.accuracy.metrics.metric_table import bind_metric, find_metric
from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.calibration_data.samples import Samples, open_samples
from rockpress.calibration_data.sources.boxes import Boxes, make_boxes
from rockpress.calibration_data.sources.labels import Labels
from rockpress.core.errors import OptionError, SamplesError

Array = NDArray[Any]
SIZE = (64, 96)


def scenes(count: int, seed: int = 0, noise: float = 3.0) -> tuple[list[Boxes], list[Detections]]:
    """Objects of three classes, some crowds, and a detector that misses, doubles and invents."""
    random = np.random.default_rng(seed)
    there, found = [], []
    for _ in range(count):
        size = random.integers(0, 6)
        corner = random.uniform(0, 60, (size, 2))
        corners = np.concatenate([corner, corner + random.uniform(5, 40, (size, 2))], axis=1)
        classes = random.integers(0, 3, size)
        there.append(make_boxes(corners, classes, random.random(size) < 0.15))
        seen = np.flatnonzero(random.random(size) < 0.8)
        seen = np.concatenate([seen, seen[:1]])
        moved = corners[seen] + random.normal(0, noise, (len(seen), 4))
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2])
        extra = random.uniform(0, 60, (2, 2))
        moved = np.concatenate([moved, np.concatenate([extra, extra + 15], axis=1)])
        labels = np.concatenate([classes[seen], random.integers(0, 3, 2)])
        scores = np.sort(random.random(len(moved)).round(3))[::-1]
        found.append(Detections(moved, scores, labels))
    return there, found


def by_pycocotools(there: list[Boxes], found: list[Detections], place: int = 0) -> float:
    annotations = [
        {
            "id": 0,
            "image_id": image,
            "category_id": int(label),
            "bbox": [*corners[:2], *(corners[2:] - corners[:2])],
            "area": float(area),
            "iscrowd": int(crowd),
        }
        for image, boxes in enumerate(there)
        for corners, label, area, crowd in zip(
            boxes.corners, boxes.classes, boxes.areas, boxes.crowd, strict=True
        )
    ]
    for number, one in enumerate(annotations, start=1):
        one["id"] = number
    results = [
        {
            "image_id": image,
            "category_id": int(label),
            "bbox": [*corners[:2], *(corners[2:] - corners[:2])],
            "score": float(score),
        }
        for image, one in enumerate(found)
        for corners, score, label in zip(one.corners, one.scores, one.classes, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": image} for image in range(len(there))],
            "annotations": annotations,
            "categories": [
                {"id": label} for label in sorted({int(x) for b in there for x in b.classes})
            ],
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[place])


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_is_that_of_pycocotools(seed: int) -> None:
    there, found = scenes(30, seed)
    labels = Labels("boxes", tuple(there))
    for place, name in ((0, "map"), (1, "map50")):
        measured = find_metric(name).measure(found, labels)
        expected = by_pycocotools(there, found, place)
        assert measured.value == pytest.approx(expected, abs=1e-9)
        once = np.ones((1, len(there)), int)
        assert measured.resampled(once)[0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("thresholds", [COCO_THRESHOLDS, COCO_THRESHOLDS[:1]])
def test_classes_and_recalls_have_the_whole_as_their_mean(thresholds: Array) -> None:
    there, found = scenes(40, 1)
    precision = AveragePrecision(found, there, thresholds)
    rows = precision.by_class()
    assert np.mean([value for _, _, value in rows]) == pytest.approx(by_coco(precision))
    counted = [boxes.classes[~boxes.crowd] for boxes in there]
    assert [objects for _, objects, _ in rows] == np.bincount(np.concatenate(counted)).tolist()
    curve = precision.precisions()
    assert len(curve) == 101 and (np.diff(curve) <= 0).all()
    assert curve.mean() == pytest.approx(by_pycocotools(there, found, 1))


def by_coco(precision: AveragePrecision) -> float:
    place = 0 if len(precision.thresholds) > 1 else 1
    return by_pycocotools(list(precision.truths), list(precision.detections), place)


def test_a_class_that_is_never_detected_has_a_precision_of_0() -> None:
    there = [make_boxes(np.array([[0.0, 0, 9, 9], [20, 20, 30, 30]]), np.array([0, 1]))]
    found = [Detections(np.array([[0.0, 0, 9, 9]]), np.array([0.9]), np.array([0]))]
    precision = AveragePrecision(found, there, COCO_THRESHOLDS)
    assert precision.by_class() == [(0, 1, pytest.approx(1)), (1, 1, 0)]
    assert precision.precisions() == pytest.approx(np.full(101, 0.5))


def test_a_resample_is_the_set_with_some_images_twice() -> None:
    there, found = scenes(25, 3)
    whole = AveragePrecision(found, there, COCO_THRESHOLDS)
    for seed in range(4):
        drawn = np.sort(np.random.default_rng(seed).integers(0, len(there), len(there)))
        counts = np.bincount(drawn, minlength=len(there))[np.newaxis]
        expected = by_pycocotools([there[i] for i in drawn], [found[i] for i in drawn])
        # scores that tie across images may be taken in another order
        assert whole.resampled(counts)[0] == pytest.approx(expected, abs=0.002)


def test_an_image_has_a_score_of_its_own() -> None:
    there, found = scenes(40, 4, noise=0)
    nothing = Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))
    empty = AveragePrecision([nothing] * 40, there, COCO_THRESHOLDS)
    assert empty.value == 0
    assert [bool(one) for one in empty.scores] == [(~one.crowd).sum() == 0 for one in there]
    exact = [Detections(one.corners, np.ones(len(one)), one.classes) for one in there]
    perfect = AveragePrecision(exact, there, COCO_THRESHOLDS)
    assert perfect.value == 1 and (perfect.scores == 1).all()
    assert AveragePrecision(found, there, COCO_THRESHOLDS).scores.mean() < 1


def test_the_best_of_overlapping_boxes_of_a_class_is_kept() -> None:
    corners = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [30, 0, 40, 10], [0, 0, 10, 10.0]])
    scores = np.array([[0.6, 0], [0.9, 0], [0.2, 0], [0, 0.5]])
    kept = select_boxes(corners, scores, 0.1, 0.5)
    assert kept.scores.tolist() == [0.9, 0.5, 0.2] and kept.classes.tolist() == [0, 1, 0]
    assert len(select_boxes(corners, scores, 0.1, None)) == 4


# Heads: each is written from the same two boxes and must give them back

BOXES = np.array([[8.0, 8.0, 40.0, 24.0], [48.0, 32.0, 80.0, 56.0]])
CLASSES = np.array([1, 0])


def logit(value: Any) -> Any:
    return np.log(value / (1 - value))


def centred() -> Array:
    return np.concatenate([(BOXES[:, :2] + BOXES[:, 2:]) / 2, BOXES[:, 2:] - BOXES[:, :2]], axis=1)


def rows(head: str) -> Array:
    """(1, A, ...) decoded rows with two boxes among many that are nothing."""
    classes = np.full((20, 2), 0.0001)
    classes[[3, 11], CLASSES] = 0.9
    boxes = np.tile([5.0, 5.0, 4.0, 4.0], (20, 1))
    boxes[[3, 11]] = centred()
    if head == "yolov5":
        boxes = np.concatenate([boxes, np.full((20, 1), 0.99)], axis=1)
    found: Array = np.concatenate([boxes, classes], axis=1)
    return found[np.newaxis]


def raw_yolov8(parts: int) -> list[Array]:
    """Maps at strides 8, 16 and 32; the boxes stand in the cells of stride 16 at their middles."""
    outputs = []
    for stride in (8, 16, 32):
        height, width = SIZE[0] // stride, SIZE[1] // stride
        sides = np.zeros((1, 4, 16, height, width))
        classes = np.full((1, 2, height, width), -12.0)
        for box, label in zip(BOXES, CLASSES, strict=True):
            if stride != 16:
                continue
            column, row = (int(v) for v in (box[:2] + box[2:]) / 2 // stride)
            x, y = (column + 0.5) * stride, (row + 0.5) * stride
            for side, distance in enumerate([x - box[0], y - box[1], box[2] - x, box[3] - y]):
                low, share = divmod(distance / stride, 1)
                sides[0, side, :, row, column] = -40
                sides[0, side, int(low), row, column] = np.log(1 - share)
                if share:
                    sides[0, side, int(low) + 1, row, column] = np.log(share)
            classes[0, label, row, column] = 4
        flat = sides.reshape(1, 64, height, width)
        if parts == 1:
            outputs.append(np.concatenate([flat, classes], axis=1))
        elif parts == 2:
            outputs += [flat, classes]
        else:
            share = 1 / (1 + np.exp(-classes))
            outputs += [flat, share, share.sum(axis=1, keepdims=True)]
    return outputs


def raw_yolov5(axes: int) -> list[Array]:
    outputs = []
    for place, stride in enumerate((8, 16, 32)):
        height, width = SIZE[0] // stride, SIZE[1] // stride
        values = np.full((1, 3, 7, height, width), -12.0)
        for (x, y, w, h), label in zip(centred(), CLASSES, strict=True):
            if place != 1:
                continue
            column, row = int(x // stride), int(y // stride)
            anchor = np.array(ANCHORS[1][0])
            shift = (np.array([x, y]) / stride - [column, row] + 0.5) / 2
            values[0, 0, :2, row, column] = logit(shift)
            values[0, 0, 2:4, row, column] = logit(np.sqrt(np.array([w, h]) / anchor) / 2)
            values[0, 0, [4, 5 + label], row, column] = 4
        outputs.append(
            np.moveaxis(values, 2, 4) if axes == 5 else values.reshape(1, 21, height, width)
        )
    return outputs


def end2end() -> Array:
    found = np.zeros((1, 30, 6))
    found[0, :2] = np.column_stack([BOXES, [0.9, 0.8], CLASSES])
    return found


HEADS = {
    "yolov8 rows": ([rows("yolov8").transpose(0, 2, 1)], "auto"),
    "yolov8 turned": ([rows("yolov8")], "yolov8"),
    "yolov8 relative": (
        [rows("yolov8").transpose(0, 2, 1) / np.array([96, 64, 96, 64, 1, 1])[:, None]],
        "auto",
    ),
    "yolov5 rows": ([rows("yolov5")], "auto"),
    "end2end": ([end2end()], "auto"),
    "boxes and scores": (
        [rows("yolov8")[..., :4].transpose(0, 2, 1), rows("yolov8")[..., 4:].transpose(0, 2, 1)],
        "auto",
    ),
    "yolov8 raw": (raw_yolov8(1), "yolov8"),
    "yolov8 raw, two a scale": (raw_yolov8(2), "auto"),
    "yolov8 raw, three a scale": (raw_yolov8(3), "auto"),
    "yolov5 raw": (raw_yolov5(5), "auto"),
    "yolov5 raw, joined": (raw_yolov5(4), "yolov5"),
}


@pytest.mark.parametrize("name", HEADS)
def test_heads_give_the_boxes_that_they_hold(name: str) -> None:
    outputs, head = HEADS[name]
    metric = find_metric("map", {"head": head, "score": "0.3"}).bound(SIZE)
    (found,) = metric.predict(outputs)
    order = np.argsort(found.corners[:, 0])
    np.testing.assert_allclose(found.corners[order], BOXES, atol=0.02)
    assert found.classes[order].tolist() == CLASSES.tolist()
    assert (found.scores > 0.75).all()


def test_maps_that_fit_two_heads_are_not_guessed() -> None:
    with pytest.raises(OptionError, match="fit several detector heads or none"):
        find_metric("map").bound(SIZE).predict([np.zeros((1, 255, 8, 8)), np.zeros((1, 255, 4, 4))])
    with pytest.raises(SamplesError, match="are no end2end head"):
        find_metric("map", {"head": "end2end"}).bound(SIZE).predict([np.zeros((1, 4, 5))])


# From files to a retention


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """images/0.png and 1.png of 200x100 pixels with one and two objects, and labels/."""
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    for index in range(3):
        Image.new("RGB", (200, 100), (index, 0, 0)).save(tmp_path / "images" / f"{index}.png")
    (tmp_path / "labels" / "0.txt").write_text("1 0.5 0.5 0.25 0.5\n")
    (tmp_path / "labels" / "1.txt").write_text("0 0.25 0.5 0.1 0.2\n2 0 0 0.5 0 0.5 0.4 0 0.4\n")
    return tmp_path


def coco_of(folder: Path) -> Path:
    path = folder / "truth.json"
    boxes = [(0, 30, [75, 25, 50, 50]), (1, 10, [40, 40, 20, 20]), (1, 77, [0, 0, 100, 40])]
    path.write_text(
        json.dumps(
            {
                "images": [{"id": i, "file_name": f"{i}.png"} for i in range(3)],
                "annotations": [
                    {"id": n, "image_id": image, "category_id": label, "bbox": box}
                    for n, (image, label, box) in enumerate(boxes)
                ],
                "categories": [{"id": i, "name": f"c{i}"} for i in (77, 10, 30)],
            }
        )
    )
    return path


def opened(path: Path, resize: str) -> Samples:
    return open_samples(path, {"x": (1, 3, 64, 64)}, Preprocessing(resize=resize))  # type: ignore[arg-type]


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "crop", "fit"])
def test_coco_and_yolo_files_hold_the_same_boxes_where_the_image_lies(
    images: Path, resize: str
) -> None:
    yolo, coco = opened(images, resize).labels, opened(coco_of(images), resize).labels
    assert yolo is not None and coco is not None
    for one, other in zip(yolo, coco, strict=True):
        np.testing.assert_allclose(one.corners, other.corners, atol=1e-9)
        assert one.classes.tolist() == other.classes.tolist()
    expected = {
        "stretch": [24, 16, 40, 48],
        "letterbox": [24, 24, 40, 40],
        "crop": [16, 16, 48, 48],
        "fit": [24, 16, 40, 48],
    }[resize]
    assert yolo[0].corners[0].tolist() == pytest.approx(expected)
    assert coco.class_names() == ("c10", "c30", "c77") and len(yolo[2]) == 0


def test_masks_go_the_way_of_their_images(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, 40:] = 255
    Image.fromarray(picture).save(tmp_path / "images" / "a.jpg", quality=100)
    Image.fromarray((picture[..., 0] // 255 * 3).astype(np.uint8)).save(
        tmp_path / "masks" / "a.png"
    )
    (tmp_path / "table.csv").write_text("path,mask\nimages/a.jpg,masks/a.png\n")
    for resize in ("stretch", "letterbox", "crop", "fit"):
        for path in (tmp_path, tmp_path / "table.csv"):
            samples = opened(path, resize)
            assert samples.labels is not None
            mask = samples.labels[0]
            pixels = samples.npu_feeds(0)["x"][0, ..., 0]
            inside = mask != 255
            assert (mask[inside] == np.where(pixels[inside] > 127, 3, 0)).mean() > 0.97
            assert inside.all() == (resize != "letterbox")
    (tmp_path / "images" / "b.jpg").write_bytes((tmp_path / "images" / "a.jpg").read_bytes())
    with pytest.raises(SamplesError, match=r"b\.png: the mask is missing"):
        opened(tmp_path, "stretch")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 0.5 0.5 0.2", "0.txt:1: not a box"),
        ("x 0 0 0 0", "0.txt:1: 'x' is no class"),
        ("-1 0 0 0 0", "'-1' is no class"),
        ("0.5 0 0 0 0", "'0.5' is no class"),
        (f"{10**30} 0 0 0 0", "0' is no class"),
        ("0 nan 0 0 0", "0.txt:1: 'nan' is no number"),
        ("0 .5 .5 .2 .4\n\n0 0 0 0 wide", "0.txt:3: 'wide' is no number"),
        ("0 120 150 40 40", "0.txt:1: 120 is no share of the image"),
    ],
)
def test_a_line_that_is_no_box_is_named(images: Path, line: str, message: str) -> None:
    (images / "labels" / "0.txt").write_text(line)
    labels = opened(images, "stretch").labels
    assert labels is not None
    with pytest.raises(SamplesError, match=message):
        labels[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "not a JSON file"),
        ("[1]", "not a COCO file"),
        ('{"images": [], "annotations": [], "categories": []}', "lists no images"),
        (
            '{"images": [{"id": 1, "file_name": "no.png"}], "annotations": [], "categories": []}',
            "there is no image 'no.png'",
        ),
        (
            '{"images": [], "annotations": [{"image_id": 9}], "categories": []}',
            "not a COCO file: KeyError",
        ),
        (
            '{"images": [{"id": 1, "file_name": "a"}], "categories": [{"id": 1}], "annotations": '
            '[{"image_id": 1, "category_id": 1, "bbox": [1, 1, 1' + "0" * 400 + ", 1]}]}",
            "not a COCO file: OverflowError",
        ),
    ],
)
def test_files_that_are_no_coco_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "truth.json").write_text(text)
    with pytest.raises(SamplesError) as caught:
        opened(tmp_path / "truth.json", "stretch")
    assert message in caught.value.message and caught.value.hint


def test_a_worse_detector_keeps_less(images: Path) -> None:
    there, _ = scenes(30, 6)
    labels = Labels("boxes", tuple(there), names=("cat", "dog", "cow"))
    exact = np.zeros((30, 8, 6))
    for row, boxes in zip(exact, there, strict=True):
        row[: len(boxes)] = np.column_stack([boxes.corners, np.ones(len(boxes)), boxes.classes])
    worse = exact.copy()
    worse[4, :, 4] = 0
    worse[5, :, :4] += 20
    scoring = bind_metric("map", {"head": "end2end"}, input_size=SIZE)
    result = compare([exact], [worse], labels, scoring)
    assert result.baseline_value == 1 and result.candidate_value is not None
    assert result.retention is not None and result.retention.low is not None
    assert result.retention.low < result.candidate_value < 1
    assert result.changes is not None and set(result.changes.lost) <= {4, 5}
    assert result.agreement is not None and 0.9 < result.agreement < 1
    assert "x cat" in " ".join(one.label for one in result.changes.worst)
    classes, precisions = result.details["classes"], result.details["precisions"]
    assert [row["class"] for row in classes] == ["cat", "dog", "cow"]
    assert all(row["baseline"] == 1 and row["candidate"] <= 1 for row in classes)
    assert [row["recall"] for row in precisions] == pytest.approx(np.linspace(0, 1, 21))
    assert precisions[-1]["baseline"] == 1 and precisions[-1]["candidate"] < 1


# Boxes of text


def text_map(boxes: list[tuple[int, int, int, int]], shape: tuple[int, int] = (60, 100)) -> Array:
    """Probabilities as a DB model gives them: the shrunk boxes, so that growing gives them back."""
    plane = np.full(shape, 0.02)
    for left, top, right, bottom in boxes:
        plane[top:bottom, left:right] = 0.9
    return plane


def test_boxes_of_text_grow_by_area_over_perimeter() -> None:
    plane = text_map([(20, 10, 60, 20), (5, 40, 7, 42)])
    metric = find_metric("text-boxes", {"unclip": "1.5"}).bound((120, 200))
    (found,) = metric.predict([plane[np.newaxis, np.newaxis]])
    grow = 1.5 * 40 * 10 / 100
    expected = np.array([20 - grow, 10 - grow, 60 + grow, 20 + grow]) * 2
    np.testing.assert_allclose(found.corners, [expected])  # the speck of two pixels is none
    assert found.scores[0] == pytest.approx(0.9)
    faint = find_metric("text-boxes", {"score": "0.95"}).bound((60, 100))
    assert not len(faint.predict([plane[np.newaxis]])[0])


def test_text_boxes_are_scored_by_f1() -> None:
    maps = np.stack([text_map([(20, 10, 60, 20)]), text_map([(20, 10, 60, 20), (20, 40, 60, 50)])])
    there = make_boxes(np.array([[14, 4, 66, 26], [70, 40, 90, 50.0]]), np.zeros(2, int))
    nothing = make_boxes(np.zeros((0, 4)), np.zeros(0, int))
    scoring = bind_metric("text-boxes", input_size=(60, 100))
    labels = Labels("boxes", (there, nothing))
    result = compare([maps], [maps[[0, 0]]], labels, scoring)
    assert result.baseline_value == pytest.approx(2 * 1 / (3 + 2))
    assert result.candidate_value == pytest.approx(2 * 1 / (2 + 2))
    assert result.agreement == pytest.approx((1 + 2 / 3) / 2)
    with pytest.raises(SamplesError, match="no label holds a box"):
        compare([maps], [maps], Labels("boxes", (nothing, nothing)), scoring)
    with pytest.raises(SamplesError, match="is no map of probabilities"):
        scoring.metric.predict([np.zeros((2, 3, 8, 8))])
