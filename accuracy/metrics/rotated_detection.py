"""Rotated boxes: COCO's average precision, by the exact overlap of the rectangles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ...calibration_data.images.geometry import Size
from ...calibration_data.sources.boxes import Boxes, make_boxes
from ...calibration_data.sources.instance_shapes import InstanceShape
from ...calibration_data.sources.labels import Kind
from ...core.errors import SamplesError
from ...core.types import Array, Float64
from .average_precision import Matching
from .detections import Detections, Places, select_anchors
from .detector_heads import side_distances
from .measurement import Scores
from .metric import MetricTable, Outputs
from .object_metric import ObjectMetric
from .rotated_boxes import (
    corners_around,
    rectangle_of,
    rotated_overlaps,
    rotated_suppression,
    vertices_of,
)
from .shaped_heads import SHAPED_HEADS, ShapedHead, cells_of, decode_shaped, flat_extras

# in pixels: so much may single precision leave of a side without a length
_LEAST_SIDE = 1e-3


@dataclass(frozen=True, eq=False)
class RotatedDetections(Detections):
    """Detections with their rectangles (M, 5): centre, sides, angle in radians, clockwise."""

    rectangles: Float64


@dataclass(frozen=True)
class RotatedPrecision(ObjectMetric):
    """COCO's AP over rotated IoU 0.5 to 0.95 (``obb``), or at 0.5 (``obb50``).

    The IoU is that of the rectangles; Ultralytics' own validation compares Gaussians instead, which
    overlap more.
    """

    head: ShapedHead = field(
        default="auto", metadata={"help": "the model's head", "choices": SHAPED_HEADS}
    )
    kind: ClassVar[Kind | None] = "rotated-boxes"

    @property
    def matching(self) -> Matching:
        return _BY_RECTANGLES

    def predict(self, outputs: Outputs) -> list[RotatedDetections]:
        """Decode rectangles, and drop those that overlap a better one of their class."""
        arrays = [np.asarray(output) for output in outputs]
        decoded = decode_shaped(arrays, 1, self.head, self.size, _of_scale, lambda rows: rows)
        return [
            self._selected(np.concatenate([boxes, angles], axis=1), scores)
            for boxes, scores, angles in decoded
        ]

    def _selected(self, rectangles: Array, scores: Array) -> RotatedDetections:
        def suppress(anchors: Places, values: Float64, classes: Places) -> Places:
            return rotated_suppression(rectangles[anchors], values, classes, self.overlap)

        # a side below zero leaves no proper box around it
        around = np.where(rectangles[:, 2:4].min(axis=1, keepdims=True) < 0, -1.0, 0.0)
        corners = corners_around(rectangles) + around * np.array([-1e9, -1e9, 0, 0])
        anchors, boxes = select_anchors(
            corners, scores, self.score, None, None if self.head == "end2end" else suppress
        )
        return RotatedDetections(**vars(boxes), rectangles=rectangles[anchors])

    def _has_labels(self, truth: Boxes) -> bool:
        return truth.shapes is not None and all(shape.polygons for shape in truth.shapes)

    def _check(self, truth: Boxes, source: str) -> None:
        super()._check(truth, source)
        for shape in truth.shapes or ():
            points = np.concatenate(shape.polygons)
            corners = f"{len(points)} corners" if len(points) < 4 else ""
            if corners or min(rectangle_of(points)[2:4]) < _LEAST_SIDE:
                raise SamplesError(
                    f"{source}{f':{shape.line}' if shape.line else ''}: "
                    f"{corners or 'corners on one line'} are no rotated box",
                    "give the four corners of a rectangle, or leave the object out",
                )

    def _form(self, detections: RotatedDetections, index: int) -> dict[str, Any]:
        vertices = vertices_of(detections.rectangles[index : index + 1])[0]
        return {"outline": tuple(map(tuple, vertices.tolist()))}

    def _labelled(self, detections: RotatedDetections) -> Boxes:
        shapes = tuple(InstanceShape((each,)) for each in vertices_of(detections.rectangles))
        return make_boxes(detections.corners, detections.classes, shapes=shapes)


def _of_scale(sides: Array, planes: Array, size: Size) -> tuple[Array, Array]:
    """Return rectangles (H W, 4) and angles (H W, 1) from raw maps of one scale.

    A model that learns no bins of sides (YOLO26) gives the angle itself, the others a logit of
    -45 to 135 degrees.
    """
    middles, stride = cells_of(planes, size)
    angles = flat_extras(planes)
    if sides.shape[0] > 4:
        angles = (1 / (1 + np.exp(-np.clip(angles, -60, 60))) - 0.25) * np.pi
    left, top, right, bottom = side_distances(sides)
    across, down = (right - left) / 2, (bottom - top) / 2
    cos, sin = np.cos(angles[:, 0]), np.sin(angles[:, 0])
    moved = np.stack([across * cos - down * sin, across * sin + down * cos], axis=1)
    lengths = np.stack([left + right, top + bottom], axis=1)
    return np.concatenate([(middles + moved) * stride, lengths * stride], axis=1), angles


def _overlaps(detections: RotatedDetections, truth: Boxes) -> Scores:
    """Return IoU (M, G) with the smallest rectangles around the labelled corners."""
    assert truth.shapes is not None
    labelled = [rectangle_of(np.concatenate(shape.polygons)) for shape in truth.shapes]
    return rotated_overlaps(detections.rectangles, np.array(labelled).reshape(-1, 5))


_BY_RECTANGLES = Matching(_overlaps)

METRICS: MetricTable = {"obb": RotatedPrecision("obb"), "obb50": RotatedPrecision("obb50")}
