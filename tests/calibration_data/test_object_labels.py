"""Labels of keypoints, rotated boxes and masks: read from files, and moved with their images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_masks

from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.calibration_data.samples import Samples, open_samples
from rockpress.calibration_data.sources.instance_shapes import (
    InstanceShape,
    encode,
    shape_of_segmentation,
    uncompressed,
)
from rockpress.calibration_data.sources.labels import Labels
from rockpress.core.errors import SamplesError

Array = NDArray[Any]
WIDTH, HEIGHT = 200, 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """images/0.png ... 2.png of 200x100 pixels, and labels/."""
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    for index in range(3):
        Image.new("RGB", (WIDTH, HEIGHT), (index, 0, 0)).save(tmp_path / "images" / f"{index}.png")
    return tmp_path


def labelled(folder: Path, *texts: str) -> Path:
    for index, text in enumerate(texts):
        (folder / "labels" / f"{index}.txt").write_text(text)
    return folder


def opened(path: Path, resize: str = "stretch") -> Samples:
    return open_samples(path, {"x": (1, 3, 64, 64)}, Preprocessing(resize=resize))  # type: ignore[arg-type]


def labels_of(path: Path, resize: str = "stretch") -> Labels:
    labels = opened(path, resize).labels
    assert labels is not None
    return labels


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        (["0 .5 .5 .2 .4"], "boxes"),
        (["0 .5 .5 .2 .4 .45 .6 2 0 0 0", "0 .5 .5 .2 .4 .5 .5 1 .55 .4 2"], "keypoints"),
        (["1 .5 .5 .2 .4 .45 .6 .5 .5 0 0"] * 3, "keypoints"),
        # an outline's points lie where they like
        (["1 .1 .1 .2 .1 .25 .3 .1 .4 .05 .2"] * 3, "instance-masks"),
        (["1 .1 .1 .4 .1 .4 .3 .1 .3"], "rotated-boxes"),
        (["1 .1 .1 .4 .1 .4 .3", "0 .1 .1 .4 .1 .4 .3 .1 .3"], "instance-masks"),
        (["1 .1 .1 .4 .1 .4 .3", "0 .1 .1 .4 .1"], "boxes"),
    ],
)
def test_the_first_lines_say_what_they_are(folder: Path, lines: list[str], kind: str) -> None:
    assert labels_of(labelled(folder, "\n".join(lines))).kind == kind


@pytest.mark.parametrize(
    ("line", "bad", "kind"),
    [
        ("0 .1 .1 .5 .1 .6 .5 .3 .7 .1 .5", "0 .1 .1 .5 .1 nan .5 .3 .7 .1 .5", "instance-masks"),
        ("0 .1 .1 .4 .1 .4 .3 .1 .3", "0 .1 .1 .4 .1 x .3 .1 .3", "rotated-boxes"),
        ("0 .5 .5 .2 .4", "0 .5 .5 .2 inf", "boxes"),
    ],
)
@pytest.mark.parametrize("all_bad", [False, True])
def test_a_bad_number_leaves_the_set_what_it_is(
    folder: Path, line: str, bad: str, kind: str, all_bad: bool
) -> None:
    labels = labels_of(labelled(folder, bad, *[bad if all_bad else line] * 2))
    assert labels.kind == kind
    with pytest.raises(SamplesError, match=r"0\.txt:1: '\w+' is no number"):
        labels[0]


def test_a_folder_of_labels_without_any_is_no_class(folder: Path) -> None:
    with pytest.raises(SamplesError, match=r"labels: holds no label file of any image in .*images"):
        opened(folder)
    # the images alone are unlabelled
    assert opened(folder / "images").labels is None


def test_masks_may_stand_beside_a_folder_of_labels_without_any(folder: Path) -> None:
    (folder / "masks").mkdir()
    for index in range(3):
        Image.new("L", (WIDTH, HEIGHT), index).save(folder / "masks" / f"{index}.png")
    assert labels_of(folder).kind == "mask"


def coco(folder: Path, *annotations: dict[str, Any]) -> Path:
    path = folder / "truth.json"
    rows = [{"id": n, "image_id": 0, "category_id": 1, **row} for n, row in enumerate(annotations)]
    document = {
        "images": [
            {"id": i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT} for i in range(3)
        ],
        "annotations": rows,
        "categories": [{"id": 1, "name": "person"}],
    }
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "crop", "fit"])
def test_keypoints_lie_where_the_image_lies(folder: Path, resize: str) -> None:
    line = "0 .5 .5 .2 .4 .45 .6 2 .3 .5 1 0 0 0"
    row = {"bbox": [80, 30, 40, 40], "keypoints": [90, 60, 2, 60, 50, 1, 0, 0, 0]}
    yolo = labels_of(labelled(folder, line), resize)
    both = [yolo, labels_of(coco(folder, row), resize)]
    points = {
        "stretch": [[28.8, 38.4, 2], [19.2, 32, 1]],
        "letterbox": [[28.8, 35.2, 2], [19.2, 32, 1]],
        "crop": [[25.6, 38.4, 2], [6.4, 32, 1]],
        "fit": [[28.8, 38.4, 2], [19.2, 32, 1]],
    }[resize]
    scale = {"stretch": 0.32 * 0.64, "letterbox": 0.32**2, "crop": 0.64**2, "fit": 0.32 * 0.64}
    for labels in both:
        assert labels.kind == "keypoints" and labels.require("boxes") is labels
        boxes = labels[0]
        np.testing.assert_allclose(boxes.keypoints[0, :2], points, atol=1e-9)
        assert boxes.keypoints[0, 2, 2] == 0
        # nobody labelled the area
        assert boxes.areas.tolist() == [pytest.approx(0.53 * 40 * 40 * scale[resize])]
        assert len(labels[1]) == 0


def test_a_keypoint_that_is_cut_off_has_no_label(folder: Path) -> None:
    line = "0 .5 .5 .9 .4 .1 .5 2 .5 .5 2"
    (points,) = labels_of(labelled(folder, line), "crop")[0].keypoints
    assert points[:, 2].tolist() == [0, 2]


def test_an_area_of_coco_is_scaled_with_the_image(folder: Path) -> None:
    row = {"bbox": [80, 30, 40, 40], "keypoints": [90, 60, 2], "area": 500.0}
    other = {"bbox": [80, 30, 40, 40], "keypoints": [0, 0, 0]}
    boxes = labels_of(coco(folder, row, other), "letterbox")[0]
    assert boxes.areas.tolist() == pytest.approx([500 * 0.32**2, 0.53 * 1600 * 0.32**2])


def picture_of(shape: InstanceShape, size: tuple[int, int]) -> Array:
    return np.asarray(coco_masks.decode(shape.encoded(size)))


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "crop", "fit"])
def test_outlines_and_masks_lie_where_the_image_lies(folder: Path, resize: str) -> None:
    outline = [60.0, 20, 140, 20, 140, 80, 60, 80]
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    drawn[20:80, 60:140] = 1
    flat = drawn.ravel(order="F")
    runs = np.diff([0, *(np.flatnonzero(np.diff(flat)) + 1), len(flat)]).tolist()
    text = coco_masks.encode(np.asfortranarray(drawn))["counts"].decode()
    box = {"bbox": [60, 20, 80, 60]}
    path = coco(
        folder,
        {**box, "segmentation": [outline]},
        {**box, "segmentation": {"size": [HEIGHT, WIDTH], "counts": runs}, "iscrowd": 1},
        {**box, "segmentation": {"size": [HEIGHT, WIDTH], "counts": text}},
    )
    shares = np.array(outline).reshape(-1, 2) / [WIDTH, HEIGHT]
    line = "0 " + " ".join(map(str, shares.ravel())) + "\n0 .1 .1 .2 .2 .2 .1"
    coco_labels = labels_of(path, resize)
    yolo = labels_of(labelled(folder, line), resize)
    assert coco_labels.kind == yolo.kind == "instance-masks"
    shapes = [*(coco_labels[0].shapes or ()), yolo[0].shapes[0]]
    corners = coco_labels[0].corners[0].round().astype(int)
    expected = np.zeros((64, 64), np.uint8)
    expected[corners[1] : corners[3], corners[0] : corners[2]] = 1
    for shape in shapes:
        assert (picture_of(shape, (64, 64)) != expected).sum() < 0.06 * expected.sum()


def test_four_corners_are_a_rotated_box_whose_outline_is_kept(folder: Path) -> None:
    labels = labels_of(labelled(folder, "2 .5 .2 .6 .5 .5 .8 .4 .5"), "letterbox")
    assert labels.kind == "rotated-boxes" and labels.require("instance-masks") is labels
    (shape,) = labels[0].shapes
    np.testing.assert_allclose(shape.polygons[0], [[32, 22.4], [38.4, 32], [32, 41.6], [25.6, 32]])
    np.testing.assert_allclose(labels[0].corners, [[25.6, 22.4, 38.4, 41.6]])


def test_labels_are_not_read_as_what_they_are_not(folder: Path) -> None:
    labels = labels_of(labelled(folder, "2 .5 .2 .6 .5 .5 .8 .4 .5"))
    with pytest.raises(SamplesError, match="labels are rotated boxes, but the metric is for keyp"):
        labels.require("keypoints")


def test_a_line_that_ends_within_a_keypoint_is_named(folder: Path) -> None:
    good = "0 .5 .5 .2 .4 .45 .6 2 .3 .5 1\n"
    labels = labels_of(labelled(folder, good, good[:-3]))
    assert labels.kind == "keypoints"
    with pytest.raises(SamplesError, match=r"1\.txt:1: not a box"):
        labels[1]


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [4, 4], "counts": [3, 4]},
        {"size": [4, 4], "counts": [17, -1]},
        {"size": [-4, -4], "counts": [16]},
        {"size": [10**6, 10**6], "counts": [10**12]},
        {"size": [4, 4], "counts": "`"},
        [[0, 0, float("nan"), 1, 1, 1]],
    ],
)
def test_masks_that_do_not_fill_their_size_are_refused(folder: Path, segmentation: Any) -> None:
    path = coco(folder, {"bbox": [0, 0, 4, 4], "segmentation": segmentation})
    with pytest.raises(SamplesError, match="not a COCO file: ValueError"):
        opened(path)


def test_compressed_runs_are_those_of_pycocotools() -> None:
    random = np.random.default_rng(0)
    for share in (0.0, 0.02, 0.5, 0.98, 1.0):
        mask = (random.random((37, 53)) < share).astype(np.uint8)
        encoded = coco_masks.encode(np.asfortranarray(mask))
        runs = uncompressed(encoded["counts"].decode())
        assert np.repeat(np.arange(len(runs)) % 2, runs).tolist() == mask.ravel(order="F").tolist()
        shape = shape_of_segmentation({**encoded, "counts": encoded["counts"].decode()})
        assert shape.encoded((37, 53)) == encode(mask)


def test_labels_of_another_kind_have_another_digest(folder: Path) -> None:
    first = labels_of(labelled(folder, "0 .5 .5 .2 .4 .45 .6 2 .3 .5 1")).digest(0)
    second = labels_of(labelled(folder, "0 .5 .5 .2 .4 .45 .6 2 .3 .5 2")).digest(0)
    outline = labels_of(labelled(folder, "0 .1 .1 .4 .1 .4 .3 .1 .3")).digest(0)
    other = labels_of(labelled(folder, "0 .1 .1 .4 .1 .4 .3 .1 .2 .1 .3")).digest(0)
    assert len({first, second, outline, other}) == 4
