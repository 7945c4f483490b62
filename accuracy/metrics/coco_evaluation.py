"""The average precision of boxes by faster-coco-eval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...calibration_data.sources.boxes import Boxes
from .detections import Detections
from .measurement import Scores

COCO_DETECTIONS = 100  # of a class in an image, that are counted


def coco_value(
    detections: Sequence[Detections], truths: Sequence[Boxes], thresholds: Scores
) -> float:
    """Return the average precision by faster-coco-eval; NaN where no image shows an object."""
    from faster_coco_eval import COCO, COCOeval_faster

    truth = _dataset(truths)
    if all(annotation["iscrowd"] for annotation in truth["annotations"]):
        return float("nan")
    rows = _result_rows(detections)
    if not rows:
        return 0.0
    evaluated = COCO(truth)
    evaluation = COCOeval_faster(evaluated, evaluated.loadRes(rows), "bbox")
    evaluation.params.iouThrs = thresholds
    evaluation.params.areaRng = evaluation.params.areaRng[:1]
    evaluation.params.areaRngLbl = evaluation.params.areaRngLbl[:1]
    evaluation.params.maxDets = [COCO_DETECTIONS]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = np.asarray(evaluation.eval["precision"])
    return float(precision[precision > -1].mean())


def _dataset(truths: Sequence[Boxes]) -> dict[str, Any]:
    places = [(image, index) for image, boxes in enumerate(truths) for index in range(len(boxes))]
    annotations = [
        {
            "id": number,
            "image_id": image + 1,
            "category_id": int(truths[image].classes[index]),
            "bbox": _bbox(truths[image].corners[index]),
            "area": float(truths[image].areas[index]),
            "iscrowd": int(truths[image].crowd[index]),
        }
        for number, (image, index) in enumerate(places, start=1)
    ]
    labels = np.unique(np.concatenate([boxes.classes for boxes in truths])).tolist()
    return {
        "images": [{"id": image + 1, "width": 0, "height": 0} for image in range(len(truths))],
        "annotations": annotations,
        "categories": [{"id": label, "name": str(label)} for label in labels],
    }


def _result_rows(detections: Sequence[Detections]) -> list[dict[str, Any]]:
    return [
        {
            "image_id": image,
            "category_id": int(label),
            "bbox": _bbox(corners),
            "score": float(score),
        }
        for image, boxes in enumerate(detections, start=1)
        for corners, score, label in zip(boxes.corners, boxes.scores, boxes.classes, strict=True)
    ]


def _bbox(corners: Scores) -> list[float]:
    """Return left, top, width and height."""
    return [*corners[:2].tolist(), *(corners[2:] - corners[:2]).tolist()]
