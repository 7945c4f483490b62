"""Rectangles (M, 5) of any angle: centre x and y, width, height, and radians, clockwise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...core.types import Float64


def vertices_of(rectangles: Float64) -> Float64:
    """Return the vertices (M, 4, 2) in order around each.

    >>> vertices_of(np.array([[2.0, 3, 2, 4, np.pi / 2]]))[0].round(6).tolist()
    [[4.0, 2.0], [4.0, 4.0], [0.0, 4.0], [0.0, 2.0]]
    """
    cos, sin = np.cos(rectangles[:, 4]), np.sin(rectangles[:, 4])
    across = np.stack([cos, sin], axis=1) * rectangles[:, 2:3] / 2
    down = np.stack([-sin, cos], axis=1) * rectangles[:, 3:4] / 2
    steps = np.stack([-across - down, across - down, across + down, down - across], axis=1)
    vertices: Float64 = rectangles[:, np.newaxis, :2] + steps
    return vertices


def corners_around(rectangles: Float64) -> Float64:
    """Return the upright boxes (M, 4) around them."""
    vertices = vertices_of(rectangles)
    return np.concatenate([vertices.min(axis=1), vertices.max(axis=1)], axis=1)


def rectangle_of(points: Float64) -> list[float]:
    """Return the smallest rectangle around points (P, 2)."""
    import cv2

    middle = points.mean(axis=0)
    centre, sides, degrees = cv2.minAreaRect((points - middle).astype(np.float32))
    return [*(middle + centre), *sides, float(np.deg2rad(degrees))]


def rotated_overlaps(boxes: Float64, truth: Float64) -> Float64:
    """Return IoU (M, G) of rectangles (M, 5) and (G, 5).

    >>> square = np.array([[0.0, 0, 2, 2, 0]])
    >>> rotated_overlaps(square, square + np.array([0, 0, 0, 0, np.pi / 4])).round(3).tolist()
    [[0.707]]
    """
    import cv2

    table = np.zeros((len(boxes), len(truth)))
    own, other = vertices_of(boxes), vertices_of(truth)
    for row, column in zip(*_near(boxes, truth), strict=True):
        # about the middle, as OpenCV computes in single precision
        middle = boxes[row, :2]
        shared, _ = cv2.intersectConvexConvex(
            (own[row] - middle).astype(np.float32), (other[column] - middle).astype(np.float32)
        )
        union = boxes[row, 2:4].prod() + truth[column, 2:4].prod() - shared
        table[row, column] = shared / max(union, 1e-12)
    return table


def _near(boxes: Float64, truth: Float64) -> tuple[NDArray[np.int64], ...]:
    """Return the pairs whose upright boxes overlap."""
    own, other = corners_around(boxes)[:, np.newaxis], corners_around(truth)
    apart = (own[..., :2] >= other[..., 2:]) | (own[..., 2:] <= other[..., :2])
    return np.nonzero(~apart.any(axis=2))


def rotated_suppression(
    rectangles: Float64, scores: Float64, classes: NDArray[np.int64], overlap: float
) -> NDArray[np.int64]:
    """Return the indices of rectangles that overlap no better one of their class, best first."""
    import cv2

    stay = []
    for label in np.unique(classes):
        own = np.flatnonzero(classes == label)
        boxes = [
            (tuple(centre), tuple(sides), float(np.rad2deg(angle)))
            for centre, sides, angle in zip(
                rectangles[own, :2].tolist(),
                rectangles[own, 2:4].tolist(),
                rectangles[own, 4],
                strict=True,
            )
        ]
        picked = cv2.dnn.NMSBoxesRotated(boxes, scores[own].tolist(), 0.0, overlap)
        stay.append(own[np.asarray(picked, np.int64).ravel()])
    return np.sort(np.concatenate(stay)) if stay else np.zeros(0, np.int64)
