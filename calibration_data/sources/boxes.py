"""The boxes of one image, as ground truth."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..images.geometry import ImagePlacement


@dataclass(frozen=True, eq=False)
class Boxes:
    """M boxes of one image in pixels.

    ``corners`` is float64 (M, 4): x1, y1, x2, y2; ``classes`` int64 (M,). ``crowd`` (M,) marks
    regions that may hold any number of objects: a detection there counts neither way. ``areas``
    (M,) are the objects' areas in the original image, by which COCO tells small from large.
    """

    corners: NDArray[np.float64]
    classes: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    areas: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.corners)

    def placed(self, placement: ImagePlacement) -> Boxes:
        """Return the boxes where a resized image has them, without what a crop cuts off.

        A box that lies outside of the crop altogether is left out.
        """
        scale = np.array([placement.scale[1], placement.scale[0]] * 2)
        shift = np.array([placement.corner[1], placement.corner[0]] * 2)
        limits = np.array([placement.size[1], placement.size[0]] * 2)
        moved = np.clip(self.corners * scale + shift, 0, limits)
        # empty ones of the annotator stay what they are, only the crop may drop any
        inside = (moved[:, 2:] > moved[:, :2]).all(1) | (
            self.corners[:, 2:] <= self.corners[:, :2]
        ).any(1)
        return Boxes(moved[inside], self.classes[inside], self.crowd[inside], self.areas[inside])

    def digest(self) -> str:
        """Return the hex SHA-256 of the numbers."""
        digest = hashlib.sha256()
        for part in (self.corners, self.classes, self.crowd):
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()


def make_boxes(
    corners: NDArray[np.float64],
    classes: NDArray[np.int64],
    crowd: NDArray[np.bool_] | None = None,
    areas: NDArray[np.float64] | None = None,
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
    )
