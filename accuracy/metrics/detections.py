"""Detections of one image, and the choice among overlapping ones outside of the graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.types import Float64

# pairs of box and class of one image: the best that are compared, and those that stay
_CANDIDATES = 3000
MOST = 300


@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes of one image, best first: corners (M, 4) in the input's pixels, scores, classes."""

    corners: Float64
    scores: Float64
    classes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, score: float) -> Detections:
        """Return the detections with at least this score."""
        shown = self.scores >= score
        return Detections(self.corners[shown], self.scores[shown], self.classes[shown])


def select_boxes(
    corners: Float64, scores: Float64, least: float, overlap: float | None
) -> Detections:
    """Choose the boxes of one image from corners (A, 4) and class scores (A, C).

    A box counts for every class that has a score of at least ``least``. Boxes of one class that
    overlap a better one by more than ``overlap`` (IoU) are dropped; None drops none. A box of
    negative width or height is none, as COCO has it.
    """
    proper = (corners[:, 2:] >= corners[:, :2]).all(axis=1, keepdims=True)
    boxes, classes = np.nonzero((scores >= least) & proper)
    values = scores[boxes, classes]
    order = np.argsort(-values, kind="stable")[:_CANDIDATES]
    boxes, classes, values = boxes[order], classes[order], values[order]
    picked = corners[boxes]
    places = np.arange(len(values))
    if overlap is not None:
        places = _non_maximum_suppression(picked, values, classes, overlap)
    places = places[:MOST]
    return Detections(picked[places], values[places], classes[places].astype(np.int64))


def _non_maximum_suppression(
    corners: Float64, scores: Float64, classes: NDArray[np.int64], overlap: float
) -> NDArray[np.int64]:
    """Return the indices of the boxes that stay, best first."""
    import cv2

    if not len(scores):
        return np.zeros(0, np.int64)
    sides = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    stay = cv2.dnn.NMSBoxesBatched(sides.tolist(), scores.tolist(), classes.tolist(), 0.0, overlap)
    return np.sort(np.asarray(stay, np.int64).ravel())


def overlaps(boxes: Float64, truth: Float64, crowd: NDArray[np.bool_] | None = None) -> Float64:
    """Return IoU (M, G) of corners (M, 4) and (G, 4); of a crowd, the share of the box in it.

    >>> overlaps(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2]])).round(3).tolist()
    [[0.333]]
    """
    low = np.maximum(boxes[:, np.newaxis, :2], truth[np.newaxis, :, :2])
    high = np.minimum(boxes[:, np.newaxis, 2:], truth[np.newaxis, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)
    own, other = (
        np.maximum(corners[:, 2:] - corners[:, :2], 0).prod(axis=1) for corners in (boxes, truth)
    )
    union = own[:, np.newaxis] + other - shared
    if crowd is not None:
        union = np.where(crowd, own[:, np.newaxis], union)
    return np.asarray(shared / np.maximum(union, 1e-12), np.float64)
