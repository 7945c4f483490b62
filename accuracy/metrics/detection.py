"""Object detection: COCO's mean average precision, from raw or decoded outputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ...calibration_data.images.geometry import Size
from ...calibration_data.sources.boxes import Boxes, make_boxes
from ...core.types import Array
from .detections import Detections, select_boxes
from .head_table import HEADS, Head, decode_boxes, parse_anchors
from .metric import MetricTable, Outputs
from .object_metric import ObjectMetric

SELECTED = ("end2end", "rtdetr")  # the model gives no box twice


@dataclass(frozen=True)
class MeanAveragePrecision(ObjectMetric):
    """COCO's mAP over IoU 0.5 to 0.95 (``map``), or at 0.5 (``map50``)."""

    head: Head = field(default="auto", metadata={"help": "the detector's head", "choices": HEADS})
    anchors: str = field(
        default="",
        metadata={"help": "widths and heights of a yolov5 head's anchors, the finest scale first"},
    )
    coordinates: Literal["auto", "pixels", "relative"] = field(
        default="auto",
        metadata={
            "help": "whether boxes are in the input's pixels or in shares of it",
            "choices": ("auto", "pixels", "relative"),
        },
    )

    def __post_init__(self) -> None:
        parse_anchors(self.anchors)

    def predict(self, outputs: Outputs) -> list[Detections]:
        overlap = None if self.head in SELECTED else self.overlap
        arrays = [np.asarray(output) for output in outputs]
        return [
            select_boxes(self._in_pixels(corners, self.size), scores, self.score, overlap)
            for corners, scores in decode_boxes(
                arrays, self.head, self.size, parse_anchors(self.anchors)
            )
        ]

    def _labelled(self, detections: Detections) -> Boxes:
        return make_boxes(detections.corners, detections.classes)

    def _in_pixels(self, corners: Array, size: Size) -> Array:
        relative = self.coordinates == "relative"
        if self.coordinates == "auto":
            relative = bool(corners.size) and float(np.abs(corners).max()) <= 2
        return corners * np.array([size[1], size[0]] * 2) if relative else corners


METRICS: MetricTable = {
    "map": MeanAveragePrecision("map"),
    "map50": MeanAveragePrecision("map50"),
}
