"""COCO's average precision, and the same for any resample of the images.

The figure itself comes from faster-coco-eval. For the bootstrap every image is matched once;
a resample then only counts each image's detections and objects as often as it is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...calibration_data.sources.boxes import Boxes
from .detections import Detections, overlaps

Scores = NDArray[np.float64]
Flags = NDArray[np.bool_]

COCO_THRESHOLDS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0, 1, 101)
_MOST = 100  # detections of a class in an image that COCO counts
# Each resample goes through all detections: fewer of them than where sums do.
_RESAMPLES = 1000
_AT_ONCE = 4_000_000
# For an image's own score: found at this IoU with at least this score.
_OWN_OVERLAP, OWN_SCORE = 0.5, 0.3


@dataclass(frozen=True, eq=False)
class _Class:
    """All detections of a class, best first: their images (D,); hits and ignored ones (T, D)."""

    images: NDArray[np.int64]
    hits: Flags
    ignored: Flags
    objects: Scores  # (N,) objects in each image


@dataclass(frozen=True, eq=False)
class AveragePrecision:
    """The mean over classes and IoU thresholds, of N images; a Measured."""

    found: Sequence[Detections]
    there: Sequence[Boxes]
    thresholds: Scores
    resamples: int = _RESAMPLES

    @cached_property
    def scores(self) -> Scores:
        """Each image's own F1 at IoU 0.5 of the detections with a score from 0.3; (N,)."""
        return np.array([image_f1(*one) for one in zip(self.found, self.there, strict=True)])

    @cached_property
    def value(self) -> float:
        """What COCO's evaluation says; NaN where there is no object at all."""
        return coco_value(self.found, self.there, self.thresholds)

    def resampled(self, counts: NDArray[Any]) -> Scores:
        """The metric of each resample (R,), from how often each image is drawn (R, N)."""
        counts = counts.astype(np.float64)
        total, classes = np.zeros(len(counts)), np.zeros(len(counts))
        for one in self._classes:
            objects = counts @ one.objects
            there = objects > 0
            total[there] += _precision(one, counts[there], objects[there])
            classes += there
        found: Scores = np.where(classes > 0, total / np.maximum(classes, 1), np.nan)
        return found

    @cached_property
    def _classes(self) -> list[_Class]:
        labels = np.unique(np.concatenate([one.classes[~one.crowd] for one in self.there]))
        return [self._matched(int(label)) for label in labels]

    def _matched(self, label: int) -> _Class:
        parts = []
        objects = np.zeros(len(self.there))
        for index, (found, there) in enumerate(zip(self.found, self.there, strict=True)):
            own, truth = found.classes == label, there.classes == label
            objects[index] = (truth & ~there.crowd).sum()
            order = np.argsort(-found.scores[own], kind="stable")[:_MOST]
            if len(order):
                table = overlaps(
                    found.corners[own][order], there.corners[truth], there.crowd[truth]
                )
                hits, ignored = matches(table, there.crowd[truth], self.thresholds)
                images = np.full(len(order), index)
                parts.append((found.scores[own][order], images, hits, ignored))
        if not parts:
            none = np.zeros((len(self.thresholds), 0), bool)
            return _Class(np.zeros(0, np.int64), none, none, objects)
        scores, images, hits, ignored = (
            np.concatenate(column, axis=-1) for column in zip(*parts, strict=True)
        )
        order = np.argsort(-scores, kind="mergesort")
        return _Class(images[order], hits[:, order], ignored[:, order], objects)


def matches(table: Scores, crowd: Flags, thresholds: Scores) -> tuple[Flags, Flags]:
    """Which detections of an image, best first, hit an object of their class, (T, M) each.

    ``table`` (M, G) holds overlaps. A detection takes the free object that it overlaps most; what
    only a crowd overlaps is ignored (second result). Source: Lin et al., Microsoft COCO, ECCV 2014,
    and its evaluation's evaluateImg.
    """
    hits = np.zeros((len(thresholds), len(table)), bool)
    ignored = np.zeros_like(hits)
    limits = np.minimum(thresholds, 1 - 1e-10)
    near = table.max(axis=1, initial=0) >= limits.min()  # of most detections of a model none is
    for row, limit in enumerate(limits):
        free = np.ones(table.shape[1], bool)
        for place in np.flatnonzero(near):
            values = table[place]
            able = (values >= limit) & (free | crowd)
            single = able & ~crowd
            which = single if single.any() else able
            if not which.any():
                continue
            # of equal overlaps the last, as COCO has it
            best = len(values) - 1 - int(np.argmax(np.where(which, values, -1)[::-1]))
            free[best] = False
            hits[row, place], ignored[row, place] = not crowd[best], crowd[best]
    return hits, ignored


def _precision(one: _Class, counts: Scores, objects: Scores) -> Scores:
    """Average precision of a class, mean over the thresholds, for resamples (R, N); (R,)."""
    if not len(one.images):
        return np.zeros(len(counts))
    at_once = max(1, _AT_ONCE // len(one.images))
    parts = [
        _precision_of(one, counts[start : start + at_once], objects[start : start + at_once])
        for start in range(0, len(counts), at_once)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def _precision_of(one: _Class, counts: Scores, objects: Scores) -> Scores:
    """Only where an object is hit can precision be the best at some recall."""
    drawn = counts[:, one.images]
    all_so_far = np.cumsum(drawn, axis=1)
    total = np.zeros(len(counts))
    for hits, ignored in zip(one.hits, one.ignored, strict=True):
        so_far = np.cumsum(drawn * ~ignored, axis=1) if ignored.any() else all_so_far
        right = np.cumsum(drawn[:, hits], axis=1)
        precision = right / np.maximum(so_far[:, hits], np.spacing(1))
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        reached = np.searchsorted(_RECALLS, right / objects[:, np.newaxis], side="right")
        steps = np.diff(reached, axis=1, prepend=0)
        total += (steps * best).sum(axis=1) / len(_RECALLS)
    found: Scores = total / len(one.hits)
    return found


def image_f1(found: Detections, there: Boxes) -> float:
    """F1 of one image at IoU 0.5, of detections with a score from 0.3; 1 where nothing is wrong."""
    shown = found.above(OWN_SCORE)
    right = counted = 0
    for label in np.unique(np.concatenate([shown.classes, there.classes])):
        own, truth = shown.classes == label, there.classes == label
        table = overlaps(shown.corners[own], there.corners[truth], there.crowd[truth])
        hits, ignored = matches(table, there.crowd[truth], np.array([_OWN_OVERLAP]))
        right += int(hits.sum())
        counted += int((~ignored).sum()) + int((truth & ~there.crowd).sum())
    return 2 * right / counted if counted else 1.0


def coco_value(found: Sequence[Detections], there: Sequence[Boxes], thresholds: Scores) -> float:
    """Average precision by faster-coco-eval; NaN where there is no object at all."""
    from faster_coco_eval import COCO, COCOeval_faster

    truth = _dataset(there)
    if not any(not one["iscrowd"] for one in truth["annotations"]):
        return float("nan")
    rows = _result_rows(found)
    if not rows:
        return 0.0
    evaluated = COCO(truth)
    evaluation = COCOeval_faster(evaluated, evaluated.loadRes(rows), "bbox")
    evaluation.params.iouThrs = thresholds
    evaluation.params.areaRng = evaluation.params.areaRng[:1]
    evaluation.params.areaRngLbl = evaluation.params.areaRngLbl[:1]
    evaluation.params.maxDets = [_MOST]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = np.asarray(evaluation.eval["precision"])
    return float(precision[precision > -1].mean())


def _dataset(there: Sequence[Boxes]) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    labels: set[int] = set()
    for image, boxes in enumerate(there, start=1):
        sides = boxes.corners[:, 2:] - boxes.corners[:, :2]
        for place in range(len(boxes)):
            labels.add(int(boxes.classes[place]))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(boxes.classes[place]),
                    "bbox": [*boxes.corners[place, :2].tolist(), *sides[place].tolist()],
                    "area": float(boxes.areas[place]),
                    "iscrowd": int(boxes.crowd[place]),
                }
            )
    return {
        "images": [{"id": image + 1, "width": 0, "height": 0} for image in range(len(there))],
        "annotations": annotations,
        "categories": [{"id": label, "name": str(label)} for label in sorted(labels)],
    }


def _result_rows(found: Sequence[Detections]) -> list[dict[str, Any]]:
    return [
        {
            "image_id": image,
            "category_id": int(label),
            "bbox": [*corners[:2].tolist(), *(corners[2:] - corners[:2]).tolist()],
            "score": float(score),
        }
        for image, one in enumerate(found, start=1)
        for corners, score, label in zip(one.corners, one.scores, one.classes, strict=True)
    ]
