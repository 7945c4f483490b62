"""Text detection: boxes out of a map of probabilities, scored by how many lines are found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...calibration_data.sources.boxes import Boxes
from ...calibration_data.sources.labels import Kind, Labels
from ...core.diagnostics import option
from ...core.errors import SamplesError
from ...core.results.predictions import PredictedObjects
from ...core.types import Array
from .average_precision import matches
from .detections import Detections, overlaps
from .measurement import Scores, Sums
from .metric import Listing, Metric, MetricTable, Outputs, Predictions
from .object_metric import plain_objects

# a stroke of fewer pixels is noise
_LEAST_SIDE = 3


@dataclass(frozen=True)
class TextBoxes(Metric):
    """F1 (h-mean) of text boxes at an IoU, upright ones around what a DB map holds.

    Sources: Liao et al., Real-time scene text detection with differentiable binarization, AAAI
    2020, sections 3.4 and 3.5; Karatzas et al., ICDAR 2015 robust reading, section IV.
    """

    threshold: float = field(default=0.3, metadata={"help": "a pixel of at least this is text"})
    score: float = field(default=0.6, metadata={"help": "the least mean of a box's pixels"})
    unclip: float = field(
        default=1.5, metadata={"help": "area / perimeter is added so often on every side"}
    )
    iou: float = field(default=0.5, metadata={"help": "how much a box must overlap to be right"})
    input_size: tuple[int, int] | None = None
    name: ClassVar[str] = "text-boxes"
    kind: ClassVar[Kind | None] = "boxes"
    perfect: ClassVar[float | None] = 1.0

    def bound(self, input_size: tuple[int, int] | None) -> Metric:
        """Return the metric for an input of this height and width, in whose pixels labels are."""
        return replace(self, input_size=input_size)

    def predict(self, outputs: Outputs) -> list[Detections]:
        """Return the boxes of each sample from a map of probabilities (N, 1, H, W) or (N, H, W)."""
        maps = np.asarray(outputs[0])
        if not self.fits(outputs):
            raise SamplesError(
                f"the output of shape {maps.shape} is no map of probabilities",
                f"text-boxes reads (N, 1, H, W): name it with {option('metric-output')}",
            )
        planes = maps.reshape(
            len(maps), *(maps.shape[1:3] if maps.shape[-1] == 1 else maps.shape[-2:])
        )
        height, width = self.input_size or planes.shape[1:]
        scale = np.array([width / planes.shape[2], height / planes.shape[1]] * 2)
        images = (self._boxes(np.asarray(plane, np.float32)) for plane in planes)
        return [replace(boxes, corners=boxes.corners * scale) for boxes in images]

    def fits(self, outputs: Outputs) -> bool:
        """Return whether the first output is a map of probabilities."""
        shape = np.shape(outputs[0])
        return len(shape) == 3 or (len(shape) == 4 and 1 in (shape[1], shape[3]))

    def measure(self, predictions: Predictions, labels: Labels) -> Sums:
        """Count right, predicted and true boxes. Raises SamplesError when no label holds a box."""
        labels.require("boxes")
        rows, scores = self._scored(predictions, labels)
        if not rows[:, 2].any():
            raise SamplesError("no label holds a box", "give images that show text")
        return Sums(scores, rows, _f1)

    def agreement(self, first: Predictions, second: Predictions) -> float:
        """Return the mean F1 of the second model's boxes with the first's as the truth."""
        return float(self._scored(second, first)[1].mean())

    def plain(self, prediction: Any, listing: Listing) -> PredictedObjects:
        return plain_objects(prediction.above(self.least(listing)), ("text",))

    def shown(self, prediction: Any, labels: Labels | None = None) -> str:
        return f"{len(prediction)} boxes"

    def truth(self, labels: Labels, index: int) -> str:
        return f"{len(labels[index])} boxes"

    def _scored(self, predictions: Predictions, truths: Iterable[Any]) -> tuple[Scores, Scores]:
        """Return the counts (N, 3) of the images, and the F1 of each (N,)."""
        pairs = zip(predictions, truths, strict=True)
        rows = np.array(
            [counted_boxes(boxes, truth, self.iou) for boxes, truth in pairs], np.float64
        )
        return rows, np.where(rows[:, 1:].sum(axis=1) > 0, _f1(rows), 1.0)

    def _boxes(self, plane: NDArray[np.float32]) -> Detections:
        """Return the boxes of one map, in its own pixels."""
        import cv2

        text = (plane >= self.threshold).astype(np.uint8)
        outlines, _ = cv2.findContours(text, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        corners, scores = [], []
        for outline in outlines:
            left, top, width, height = cv2.boundingRect(outline)
            if min(width, height) < _LEAST_SIDE:
                continue
            inside = np.zeros((height, width), np.uint8)
            cv2.fillPoly(inside, [outline - np.array([left, top], np.int32)], [1])
            mean = float(plane[top : top + height, left : left + width][inside > 0].mean())
            if mean >= self.score:
                grow = width * height * self.unclip / (2 * (width + height))
                corners.append([left - grow, top - grow, left + width + grow, top + height + grow])
                scores.append(mean)
        limits = np.array([plane.shape[1], plane.shape[0]] * 2)
        clipped = np.clip(np.array(corners, np.float64).reshape(-1, 4), 0, limits)
        order = np.argsort(-np.array(scores), kind="stable")
        classes = np.zeros(len(order), np.int64)
        return Detections(clipped[order], np.array(scores, np.float64)[order], classes)


def counted_boxes(boxes: Detections, truth: Boxes | Detections, iou: float) -> tuple[int, int, int]:
    """Count right, predicted and true boxes of an image; what lies in a crowd is left out."""
    crowd = truth.crowd if isinstance(truth, Boxes) else np.zeros(len(truth), bool)
    table = overlaps(boxes.corners, truth.corners, crowd)
    hits, ignored = matches(table, crowd, np.array([iou]))
    return int(hits.sum()), int((~ignored).sum()), int((~crowd).sum())


def _f1(sums: Scores) -> Array:
    """Return F1 from right, predicted and true boxes, (R, 3); NaN where there is no box."""
    both = sums[:, 1] + sums[:, 2]
    f1: Array = 2 * sums[:, 0] / np.where(both > 0, both, np.nan)
    return f1


METRICS: MetricTable = {"text-boxes": TextBoxes()}
