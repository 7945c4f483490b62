"""A COCO annotation file: images with objects, read as a whole, since it is one JSON document."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import SamplesError
from ...core.text_files import BrokenText, UnreadableFile, read_json
from .boxes import FILLED, Boxes, make_boxes
from .instance_shapes import shape_of_segmentation
from .labels import Labels, ObjectKind
from .source_types import ImageFiles, Source

# the annotations of COCO's training images take 450 MB
MAX_COCO_BYTES = 1024 * 2**20
_NOT_COCO = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


def open_coco(path: Path) -> Source:
    """Open the images that a file lists, with their objects; classes are its categories by id.

    Objects have keypoints where any has, and outlines where all have.

    An image is looked for beside the file, in ``images/`` beside it, and, for
    ``annotations/instances_val2017.json``, in ``val2017/`` and ``images/val2017/`` above it.
    Raises SamplesError for a file that is no COCO file, and for an image that is not there.
    """
    document = _document(path)
    try:
        categories = sorted(document["categories"], key=lambda category: int(category["id"]))
        classes = {int(category["id"]): index for index, category in enumerate(categories)}
        names = tuple(str(category.get("name", category["id"])) for category in categories)
        images = {int(image["id"]): str(image["file_name"]) for image in document["images"]}
        annotations: dict[int, list[Mapping[str, Any]]] = {image: [] for image in images}
        for annotation in document["annotations"]:
            annotations[int(annotation["image_id"])].append(annotation)
        kind, points = _kind(document["annotations"])
        boxes = tuple(_boxes(annotations[image], classes, points) for image in images)
    except _NOT_COCO as error:
        raise SamplesError(
            f"{path}: not a COCO file: {type(error).__name__}: {error}",
            "it holds images, annotations (image_id, category_id, bbox) and categories",
        ) from error
    if not images:
        raise SamplesError(f"{path}: the file lists no images", "give one with images")
    files = tuple(_image(path, name) for name in images.values())
    return ImageFiles(files, Labels(kind, boxes, names=names, origin=lambda i: str(files[i])))


def _document(path: Path) -> Any:
    try:
        return read_json(path, MAX_COCO_BYTES)
    except BrokenText as error:
        raise SamplesError(f"{path}: not a JSON file: {error}", "save it again") from error
    except UnreadableFile as error:
        raise SamplesError(f"{path}: {error}", "check the path and the file") from error


def _kind(annotations: list[Mapping[str, Any]]) -> tuple[ObjectKind, int]:
    """Return what the objects have beside their boxes, and how many keypoints each has."""
    points = max((len(row.get("keypoints", ())) // 3 for row in annotations), default=0)
    if points:
        return "keypoints", points
    outlined = annotations and all(row.get("segmentation") for row in annotations)
    return ("instance-masks" if outlined else "boxes"), 0


def _boxes(annotations: list[Mapping[str, Any]], classes: Mapping[int, int], points: int) -> Boxes:
    """Return an image's objects; ``classes`` is category -> class index, ``points`` keypoints."""
    corners = np.array([row["bbox"] for row in annotations], np.float64).reshape(-1, 4)
    if not np.isfinite(corners).all():
        raise ValueError("a bbox is not finite")
    areas = corners[:, 2] * corners[:, 3]
    corners[:, 2:] += corners[:, :2]
    if points:
        areas = areas * FILLED
    own = [float(row.get("area", area)) for row, area in zip(annotations, areas, strict=True)]
    outlined = all(row.get("segmentation") for row in annotations)
    return make_boxes(
        corners,
        np.array([classes[int(row["category_id"])] for row in annotations], np.int64),
        np.array([bool(row.get("iscrowd", 0)) for row in annotations], bool),
        np.array(own, np.float64),
        _keypoints(annotations, points) if points else None,
        tuple(shape_of_segmentation(row["segmentation"]) for row in annotations)
        if outlined
        else None,
    )


def _keypoints(annotations: list[Mapping[str, Any]], points: int) -> NDArray[np.float64]:
    """Return (M, points, 3): x, y, visible; none is labelled where an object has no keypoints."""
    none = [0.0] * 3 * points
    rows = [row.get("keypoints") or none for row in annotations]
    keypoints = np.array(rows, np.float64).reshape(-1, points, 3)
    if not np.isfinite(keypoints).all():
        raise ValueError("a keypoint is not finite")
    return keypoints


def _image(path: Path, name: str) -> Path:
    folder, split = path.parent, path.stem.rpartition("_")[2]
    folders = (folder, folder / "images", folder.parent / split, folder.parent / "images" / split)
    for candidate in folders:
        if os.path.isfile(candidate / name):  # False too for a name that no file can have
            return candidate / name
    raise SamplesError(
        f"{path}: there is no image {name!r} beside it or in images/",
        f"it was looked for in {', '.join(map(str, folders))}",
    )
