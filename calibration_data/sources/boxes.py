"""The boxes of one image, as ground truth."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..images.geometry import ImagePlacement
from .instance_shapes import InstanceShape

# The area of an object with keypoints whose area nobody labelled, as a share of its box. Source:
# xtcocotools, cocoeval.py, which Ultralytics' validation of poses follows.
FILLED = 0.53


@dataclass(frozen=True, eq=False)
class Boxes:
    """M boxes of one image in pixels.

    ``corners`` is float64 (M, 4): x1, y1, x2, y2; ``classes`` int64 (M,). ``crowd`` (M,) marks
    regions that may hold any number of objects: a detection there counts neither way. ``areas``
    (M,) are the objects' areas. Where the labels have them, ``keypoints`` is float64 (M, K, 3): x,
    y, and how visible it is, 0 for a point without a label; and ``shapes`` are M outlines.
    """

    corners: NDArray[np.float64]
    classes: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    areas: NDArray[np.float64]
    keypoints: NDArray[np.float64] | None = None
    shapes: tuple[InstanceShape, ...] | None = None

    def __len__(self) -> int:
        return len(self.corners)

    def take(self, rows: NDArray[Any]) -> Boxes:
        """Return some of the boxes, by their indices or by a flag each (M,)."""
        places = np.arange(len(self))[rows]
        return Boxes(
            self.corners[places],
            self.classes[places],
            self.crowd[places],
            self.areas[places],
            None if self.keypoints is None else self.keypoints[places],
            None if self.shapes is None else tuple(self.shapes[place] for place in places),
        )

    def placed(self, placement: ImagePlacement) -> Boxes:
        """Return the boxes where a resized image has them, without what a crop cuts off.

        A box that lies outside of the crop altogether is left out, and a keypoint there has no
        label.
        """
        scale = np.array([placement.scale[1], placement.scale[0]] * 2)
        shift = np.array([placement.corner[1], placement.corner[0]] * 2)
        limits = np.array([placement.size[1], placement.size[0]] * 2)
        moved = np.clip(self.corners * scale + shift, 0, limits)
        # empty ones of the annotator stay what they are, only the crop may drop any
        inside = (moved[:, 2:] > moved[:, :2]).all(1) | (
            self.corners[:, 2:] <= self.corners[:, :2]
        ).any(1)
        stay = replace(self, corners=moved, areas=self.areas * scale[0] * scale[1]).take(inside)
        shapes = stay.shapes and tuple(shape.placed(placement) for shape in stay.shapes)
        return replace(stay, keypoints=_placed_keypoints(stay.keypoints, placement), shapes=shapes)

    def digest(self) -> str:
        """Return the hex SHA-256 of the numbers."""
        digest = hashlib.sha256()
        for part in (self.corners, self.classes, self.crowd):
            digest.update(np.ascontiguousarray(part).tobytes())
        if self.keypoints is not None:
            for part in (self.areas, self.keypoints):
                digest.update(np.ascontiguousarray(part).tobytes())
        for shape in self.shapes or ():
            digest.update(shape.digest())
        return digest.hexdigest()


def _placed_keypoints(
    keypoints: NDArray[np.float64] | None, placement: ImagePlacement
) -> NDArray[np.float64] | None:
    """Return keypoints (M, K, 3) where a resized image has them."""
    if keypoints is None:
        return None
    scale, shift = np.array(placement.scale[::-1]), np.array(placement.corner[::-1])
    places = keypoints[..., :2] * scale + shift
    inside = ((places >= 0) & (places <= placement.size[::-1])).all(axis=2)
    visible = (keypoints[..., 2] * inside)[..., np.newaxis]
    return np.asarray(np.concatenate([places, visible], axis=2), np.float64)


def make_boxes(
    corners: NDArray[np.float64],
    classes: NDArray[np.int64],
    crowd: NDArray[np.bool_] | None = None,
    areas: NDArray[np.float64] | None = None,
    keypoints: NDArray[np.float64] | None = None,
    shapes: tuple[InstanceShape, ...] | None = None,
) -> Boxes:
    """Return boxes of corners (M, 4), also with M = 0; by default no crowd, and their own areas.

    >>> make_boxes(np.array([[1.0, 2.0, 4.0, 6.0]]), np.array([0])).areas.tolist()
    [12.0]
    """
    corners = np.asarray(corners, np.float64).reshape(-1, 4)
    sides = np.maximum(corners[:, 2:] - corners[:, :2], 0)
    return Boxes(
        corners,
        np.asarray(classes, np.int64).reshape(-1),
        np.zeros(len(corners), bool) if crowd is None else crowd,
        sides.prod(axis=1) if areas is None else areas,
        keypoints,
        shapes,
    )
