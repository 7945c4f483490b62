"""Detections of one image, and the choice among overlapping ones outside of the graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

# Of one image the best so many pairs of box and class are looked at, and so many are kept.
_CANDIDATES = 3000
MOST = 300


@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes of one image, best first: corners (M, 4) in the input's pixels, scores, classes."""

    corners: Numbers
    scores: Numbers
    classes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, score: float) -> Detections:
        """Those with at least this score."""
        kept = self.scores >= score
        return Detections(self.corners[kept], self.scores[kept], self.classes[kept])


def chosen(corners: Numbers, scores: Numbers, least: float, overlap: float | None) -> Detections:
    """The boxes of one image from corners (A, 4) and class scores (A, C).

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
    kept = np.arange(len(values)) if overlap is None else _kept(picked, values, classes, overlap)
    kept = kept[:MOST]
    return Detections(picked[kept], values[kept], classes[kept].astype(np.int64))


def _kept(
    corners: Numbers, scores: Numbers, classes: NDArray[np.int64], overlap: float
) -> NDArray[np.int64]:
    """Places of those that non-maximum suppression keeps, best first."""
    import cv2

    if not len(scores):
        return np.zeros(0, np.int64)
    sides = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    found = cv2.dnn.NMSBoxesBatched(sides.tolist(), scores.tolist(), classes.tolist(), 0.0, overlap)
    return np.sort(np.asarray(found, np.int64).ravel())


def overlaps(found: Numbers, there: Numbers, crowd: NDArray[np.bool_] | None = None) -> Numbers:
    """Intersection over union of corners (M, 4) and (G, 4), (M, G); of a crowd, over the found box.

    >>> overlaps(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2]])).round(3).tolist()
    [[0.333]]
    """
    low = np.maximum(found[:, np.newaxis, :2], there[np.newaxis, :, :2])
    high = np.minimum(found[:, np.newaxis, 2:], there[np.newaxis, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)
    own, other = (np.maximum(one[:, 2:] - one[:, :2], 0).prod(axis=1) for one in (found, there))
    union = own[:, np.newaxis] + other - shared
    if crowd is not None:
        union = np.where(crowd, own[:, np.newaxis], union)
    return np.asarray(shared / np.maximum(union, 1e-12), np.float64)
