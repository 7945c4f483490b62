"""What the metrics of objects in images have in common: average precision, F1 as the agreement."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from ...calibration_data.images.geometry import Size
from ...calibration_data.sources.boxes import Boxes
from ...calibration_data.sources.labels import Kind, Labels
from ...core.diagnostics import option
from ...core.errors import OptionError, SamplesError
from ...core.results.predictions import Box, PredictedObject, PredictedObjects, class_name
from .average_precision import (
    COCO_THRESHOLDS,
    OWN_SCORE,
    RECALLS,
    UPRIGHT,
    AveragePrecision,
    Matching,
    image_f1,
)
from .detections import Detections
from .metric import Listing, Metric, Predictions


@dataclass(frozen=True)
class ObjectMetric(Metric):
    """COCO's average precision over overlaps from 0.5 to 0.95; at 0.5 where the name ends in 50.

    A subclass says what is predicted, how that is compared with the labels (``matching``), and how
    it would be labelled (``_labelled``).
    """

    name: str = ""
    score: float = field(default=0.001, metadata={"help": "the least score of a detection"})
    overlap: float = field(default=0.7, metadata={"help": "IoU above which a worse box is dropped"})
    input_size: Size | None = None
    kind: ClassVar[Kind | None] = "boxes"
    perfect: ClassVar[float | None] = 1.0

    def bound(self, input_size: Size | None) -> Metric:
        """Return the metric for an input of this height and width, in whose pixels objects are."""
        if input_size is None:
            raise OptionError(
                f"{self.name} is for a model with an image input",
                f"choose another {option('metric')}",
            )
        return replace(self, input_size=input_size)

    @property
    def matching(self) -> Matching:
        """How detections and objects are compared."""
        return UPRIGHT

    @property
    def size(self) -> Size:
        """Height and width of the input."""
        return self.input_size or (1, 1)

    def measure(self, predictions: Predictions, labels: Labels) -> AveragePrecision:
        """Match the objects of every image.

        Raises SamplesError when no label holds one, or one that the metric or the model has not.
        """
        assert self.kind is not None
        labels.require(self.kind)
        truths = list(labels)
        if not any(len(boxes) for boxes in truths):
            raise SamplesError("no label holds an object", "give images that show some")
        for index, truth in enumerate(truths):
            self._check(truth, labels.source_of(index))
        _require_classes(labels, truths, predictions[0].class_count)
        thresholds = COCO_THRESHOLDS[:1] if self.name.endswith("50") else COCO_THRESHOLDS
        return AveragePrecision(list(predictions), truths, thresholds, self.matching)

    def agreement(self, first: Predictions, second: Predictions) -> float:
        """Return the mean F1 of the second model's objects with the first's as the truth."""
        pairs = zip(first, second, strict=True)
        scores = [
            image_f1(other, self._labelled(one.above(OWN_SCORE)), self.matching)
            for one, other in pairs
        ]
        return float(np.mean(scores))

    def details(self, first: Predictions, second: Predictions, labels: Labels) -> dict[str, Any]:
        """Return the average precision of every class, and the precision at every twentieth recall.

        Both are of both models; the precision is at the lowest of the metric's overlaps.
        """
        before, after = (self.measure(predictions, labels) for predictions in (first, second))
        if not before.by_class():  # all are crowds
            return {}
        names = labels.class_names()
        pairs = zip(before.by_class(), after.by_class(), strict=True)
        classes = [
            {"class": class_name(label, names), "samples": objects, "baseline": b, "candidate": a}
            for (label, objects, b), (_, _, a) in pairs
        ]
        curves = zip(RECALLS[::5], before.precisions()[::5], after.precisions()[::5], strict=True)
        precisions = [
            {"recall": float(recall), "baseline": float(b), "candidate": float(a)}
            for recall, b, a in curves
        ]
        return {"classes": classes, "precisions": precisions}

    @property
    def shown_from(self) -> float:
        return OWN_SCORE

    def plain(self, prediction: Any, listing: Listing) -> PredictedObjects:
        least = self.least(listing)
        detections = prediction.above(least / 2 if listing.nearly else least)
        plain = plain_objects(detections, listing.names)
        return PredictedObjects(
            tuple(
                replace(each, **self._form(detections, index))
                for index, each in enumerate(plain.objects)
            )
        )

    def shown(self, prediction: Any, labels: Labels | None = None) -> str:
        names = labels.class_names() if labels else ()
        return _counted(prediction.above(OWN_SCORE).classes, names)

    def truth(self, labels: Labels, index: int) -> str:
        return _counted(labels[index].classes, labels.class_names())

    def _check(self, truth: Boxes, source: str) -> None:
        """Raise SamplesError for an image with an object that cannot be scored."""
        if len(truth) and not self._has_labels(truth):
            raise SamplesError(
                f"{source}: not every object has what {self.name} scores",
                f"label it, leave the sample out, or choose another {option('metric')}",
            )

    def _has_labels(self, truth: Boxes) -> bool:
        """Tell whether an image's objects are labelled with what the metric scores."""
        return True

    def _form(self, detections: Any, index: int) -> dict[str, Any]:
        """Return what is known of the form of one of the detections beside its box."""
        return {}

    @abstractmethod
    def _labelled(self, detections: Any) -> Boxes:
        """Return detections as if they were labels."""


def plain_objects(detections: Detections, names: tuple[str, ...]) -> PredictedObjects:
    """Return detections as plain values, without a form of their own."""
    columns = zip(
        detections.classes.tolist(),
        detections.scores.tolist(),
        detections.corners.tolist(),
        strict=True,
    )
    objects = (
        PredictedObject(label, class_name(label, names), score, _box(corners))
        for label, score, corners in columns
    )
    return PredictedObjects(tuple(objects))


def _box(corners: Sequence[float]) -> Box:
    left, top, right, bottom = corners
    return left, top, right, bottom


def _require_classes(labels: Labels, truths: Sequence[Boxes], count: int | None) -> None:
    """Raise SamplesError for an object of a class that a model of so many classes has not."""
    names = labels.class_names()
    for index, truth in enumerate(truths):
        label = int(truth.classes.max(initial=0))
        if count is not None and label >= count:
            name = f" ({names[label]})" if label < len(names) else ""
            raise SamplesError(
                f"{labels.source_of(index)}: class {label}{name} is labelled, but the model has "
                f"{count} classes (0 to {count - 1})",
                "count the classes of the labels as the model does, or leave such objects out",
            )


def _counted(classes: Any, names: tuple[str, ...]) -> str:
    values, counts = np.unique(classes, return_counts=True)
    counted = [
        f"{count} x {names[value] if value < len(names) else f'class {value}'}"
        for value, count in zip(values, counts, strict=True)
    ]
    return ", ".join(counted) or "nothing"
