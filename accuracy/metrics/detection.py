"""Object detection: COCO's mean average precision, from raw or decoded outputs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np

from ...calibration_data.sources.boxes import Boxes, make_boxes
from ...calibration_data.sources.labels import Kind, Labels
from ...core.diagnostics import option
from ...core.errors import OptionError, SamplesError
from ...core.types import Array
from .average_precision import COCO_THRESHOLDS, OWN_SCORE, AveragePrecision, image_f1
from .detections import Detections, select_boxes
from .detector_heads import HEADS, Head, decode_boxes
from .metric import Metric, MetricTable, Outputs, Predictions


@dataclass(frozen=True)
class MeanAveragePrecision(Metric):
    """COCO's mAP over IoU 0.5 to 0.95 (``map``), or at 0.5 (``map50``)."""

    name: Literal["map", "map50"] = "map"
    head: Head = field(default="auto", metadata={"help": "the detector's head", "choices": HEADS})
    score: float = field(default=0.001, metadata={"help": "the least score of a detection"})
    overlap: float = field(default=0.7, metadata={"help": "IoU above which a worse box is dropped"})
    coordinates: Literal["auto", "pixels", "relative"] = field(
        default="auto",
        metadata={
            "help": "whether boxes are in the input's pixels or in shares of it",
            "choices": ("auto", "pixels", "relative"),
        },
    )
    input_size: tuple[int, int] | None = None
    kind: ClassVar[Kind | None] = "boxes"

    def bound(self, input_size: tuple[int, int] | None) -> Metric:
        """Return the metric for an input of this height and width, in whose pixels boxes are."""
        if input_size is None:
            raise OptionError(
                f"{self.name} is for a model with an image input",
                f"choose another {option('metric')}",
            )
        return replace(self, input_size=input_size)

    def predict(self, outputs: Outputs) -> list[Detections]:
        size = self.input_size or (1, 1)
        overlap = None if self.head == "end2end" else self.overlap
        arrays = [np.asarray(output) for output in outputs]
        return [
            select_boxes(self._in_pixels(corners, size), scores, self.score, overlap)
            for corners, scores in decode_boxes(arrays, self.head, size)
        ]

    def measure(self, predictions: Predictions, labels: Labels) -> AveragePrecision:
        """Match the boxes of every image. Raises SamplesError when no label holds an object."""
        labels.require("boxes")
        truths = list(labels)
        if not any(len(boxes) for boxes in truths):
            raise SamplesError("no label holds an object", "give images that show some")
        thresholds = COCO_THRESHOLDS if self.name == "map" else COCO_THRESHOLDS[:1]
        return AveragePrecision(list(predictions), truths, thresholds)

    def agreement(self, first: Predictions, second: Predictions) -> float:
        """Return the mean F1 of the second model's boxes with the first's as the truth."""
        pairs = zip(first, second, strict=True)
        return float(np.mean([image_f1(b, _as_truth(a)) for a, b in pairs]))

    def shown(self, prediction: Any, labels: Labels | None = None) -> str:
        names = labels.class_names() if labels else ()
        return _counted(prediction.above(OWN_SCORE).classes, names)

    def truth(self, labels: Labels, index: int) -> str:
        return _counted(labels[index].classes, labels.class_names())

    def _in_pixels(self, corners: Array, size: tuple[int, int]) -> Array:
        relative = self.coordinates == "relative"
        if self.coordinates == "auto":
            relative = bool(corners.size) and float(np.abs(corners).max()) <= 2
        return corners * np.array([size[1], size[0]] * 2) if relative else corners


def _as_truth(detections: Detections) -> Boxes:
    shown = detections.above(OWN_SCORE)
    return make_boxes(shown.corners, shown.classes)


def _counted(classes: Array, names: tuple[str, ...]) -> str:
    values, counts = np.unique(classes, return_counts=True)
    counted = [
        f"{count} x {names[value] if value < len(names) else f'class {value}'}"
        for value, count in zip(values, counts, strict=True)
    ]
    return ", ".join(counted) or "nothing"


METRICS: MetricTable = {
    "map": MeanAveragePrecision("map"),
    "map50": MeanAveragePrecision("map50"),
}
