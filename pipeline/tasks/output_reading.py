"""How the outputs of a ``.rknn`` are read where no metric is at hand: on a board."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...accuracy.metrics.classification import TopK
from ...accuracy.metrics.detection import SELECTED, MeanAveragePrecision
from ...accuracy.metrics.detector_heads import head_of
from ...accuracy.metrics.head_table import parse_anchors
from ...accuracy.metrics.metric_table import BoundMetric
from ...accuracy.metrics.object_metric import ObjectMetric
from ...accuracy.metrics.pose import PosePrecision
from ...accuracy.metrics.segmentation import MeanIou
from ...accuracy.metrics.shaped_heads import selects_itself
from ...accuracy.metrics.text_boxes import TextBoxes
from ...accuracy.metrics.text_recognition import TextRecognition
from ...core.errors import OptionError, SamplesError
from ...core.results.reading import Reading
from ...core.types import Array, Shape


def reading_of(scoring: BoundMetric, shapes: Mapping[str, Shape]) -> Reading:
    """Return how the metric reads outputs of these shapes, by their names in the model's order.

    What only a metric can do, and outputs that do not fit it, are left as they are.
    """
    indices = scoring.indices or tuple(range(len(shapes)))
    sizes = list(shapes.values())
    # shapes alone are asked for: these arrays take no memory
    arrays = [np.broadcast_to(np.float32(0), sizes[index]) for index in indices]
    as_they_are = Reading(outputs=indices)
    match scoring.metric:
        case TopK() as metric if metric.fits(arrays):
            return Reading("classes", indices[:1])
        case TextRecognition() as metric:
            return Reading("text", indices[:1], blank=metric.blank)
        case MeanIou() if arrays[0].ndim in (3, 4):
            return Reading("segments", indices[:1])
        case TextBoxes() as metric if metric.fits(arrays):
            return Reading(
                "lines",
                indices[:1],
                score=metric.score,
                threshold=metric.threshold,
                unclip=metric.unclip,
            )
        case MeanAveragePrecision() as metric:
            return _boxes(metric, indices, arrays) or as_they_are
        case PosePrecision() as metric:
            return _poses(metric, indices, arrays) or as_they_are
    return as_they_are


def _boxes(
    metric: MeanAveragePrecision, indices: tuple[int, ...], arrays: list[Array]
) -> Reading | None:
    head: Any = metric.head
    if head == "auto":
        try:
            head = head_of(arrays)
        except OptionError:
            return None
    return Reading(
        "boxes",
        indices,
        head=head,
        score=_least(metric),
        overlap=None if metric.head in SELECTED else metric.overlap,
        anchors=_pairs(metric.anchors) if head == "yolov5" else (),
        coordinates=metric.coordinates,
    )


def _poses(metric: PosePrecision, indices: tuple[int, ...], arrays: list[Array]) -> Reading | None:
    try:
        extras, each = metric.extras_of(arrays)
    except SamplesError:
        return None
    selects = len(arrays) == 1 and metric.head == "auto" and selects_itself(arrays[0], extras)
    return Reading(
        "poses",
        indices,
        head="end2end" if selects else metric.head.replace("auto", "yolov8"),
        score=_least(metric),
        overlap=None if metric.head == "end2end" else metric.overlap,
        points=extras // each,
        point_numbers=each,
    )


def _least(metric: ObjectMetric) -> float:
    """Return the score to show boxes from, which the default is not: a mean is over all scores."""
    return metric.shown_from if metric.score == type(metric).score else metric.score


def _pairs(text: str) -> tuple[tuple[tuple[float, float], ...], ...]:
    return tuple(
        tuple((float(width), float(height)) for width, height in scale)
        for scale in parse_anchors(text)
    )
