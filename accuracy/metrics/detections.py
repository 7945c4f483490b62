"""Detections of one image, and the choice among overlapping ones outside of the graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...core.types import Float64

Places = NDArray[np.int64]
# the indices, best first, of candidates that stay; given their anchors, scores and classes
Suppression = Callable[[Places, Float64, Places], Places]
SomeDetections = TypeVar("SomeDetections", bound="Detections")

# pairs of box and class of one image: the best that are compared, and those that stay
_CANDIDATES = 3000
MOST = 300


@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes of one image, best first: corners (M, 4) in the input's pixels, scores, classes.

    A subclass has arrays of more about each, (M, ...) too. ``class_count`` is how many classes the
    model has, None where its outputs do not say.
    """

    corners: Float64
    scores: Float64
    classes: NDArray[np.int64]
    class_count: int | None = field(default=None, kw_only=True)

    def __len__(self) -> int:
        return len(self.scores)

    def take(self: SomeDetections, rows: NDArray[Any]) -> SomeDetections:
        """Return some of the detections, by their indices or by a flag each (M,)."""
        names = [column.name for column in fields(self) if not column.kw_only]
        columns: dict[str, Any] = {name: getattr(self, name)[rows] for name in names}
        return replace(self, **columns)

    def above(self: SomeDetections, score: float) -> SomeDetections:
        """Return the detections with at least this score."""
        return self.take(self.scores >= score)


def select_boxes(
    corners: Float64, scores: Float64, least: float, overlap: float | None
) -> Detections:
    """Choose the boxes of one image from corners (A, 4) and class scores (A, C).

    A box counts for every class that has a score of at least ``least``. Boxes of one class that
    overlap a better one by more than ``overlap`` (IoU) are dropped; None drops none. A box of
    negative width or height is none, as COCO has it. A last column of minus infinity stands for
    classes that nobody has counted.
    """
    return select_anchors(corners, scores, least, overlap)[1]


def select_anchors(
    corners: Float64,
    scores: Float64,
    least: float,
    overlap: float | None,
    suppress: Suppression | None = None,
) -> tuple[Places, Detections]:
    """Choose as ``select_boxes`` does, and return the anchor (M,) of each detection as well.

    ``suppress`` drops boxes in another way than by their upright overlap.
    """
    proper = (corners[:, 2:] >= corners[:, :2]).all(axis=1, keepdims=True)
    anchors, classes = np.nonzero((scores >= least) & proper)
    values = scores[anchors, classes]
    order = np.argsort(-values, kind="stable")[:_CANDIDATES]
    anchors, classes, values = anchors[order], classes[order].astype(np.int64), values[order]
    places = np.arange(len(values))
    if suppress is not None:
        places = suppress(anchors, values, classes)
    elif overlap is not None:
        places = _non_maximum_suppression(corners[anchors], values, classes, overlap)
    places = places[:MOST]
    anchors = anchors[places]
    count = None if np.isneginf(scores[:, -1:]).all() else scores.shape[1]
    chosen = Detections(corners[anchors], values[places], classes[places], class_count=count)
    return anchors, chosen


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
