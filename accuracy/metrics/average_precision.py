"""COCO's average precision, and the same for any resample of the images.

That of boxes comes from faster-coco-eval. For the bootstrap, and for other shapes, every image is
matched once; a resample then only counts each image's detections and objects as often as it is
drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...calibration_data.sources.boxes import Boxes
from .coco_evaluation import COCO_DETECTIONS, coco_value
from .detections import Detections, overlaps
from .measurement import Scores

Flags = NDArray[np.bool_]

COCO_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
# Each resample goes through all detections: fewer of them than where sums do.
_RESAMPLES = 1000
_AT_ONCE = 4_000_000
# For an image's own score: found at this IoU with at least this score.
_OWN_OVERLAP, OWN_SCORE = 0.5, 0.3


@dataclass(frozen=True)
class Matching:
    """How detections and objects of one class in an image are compared.

    ``overlaps`` gives (M, G) of M detections and G objects, ``ignored`` the objects (G,) whose
    detections count neither way; those of a crowd may be taken by any number of detections.
    ``most`` detections of an image are looked at.
    """

    overlaps: Callable[[Any, Boxes], Scores]
    ignored: Callable[[Boxes], Flags] = lambda truth: truth.crowd
    most: int = COCO_DETECTIONS


def _box_overlaps(detections: Detections, truth: Boxes) -> Scores:
    return overlaps(detections.corners, truth.corners, truth.crowd)


UPRIGHT = Matching(_box_overlaps)


@dataclass(frozen=True, eq=False)
class _Class:
    """All D detections of a class, best first: their images, and hits and ignored ones (T, D)."""

    images: NDArray[np.int64]
    hits: Flags
    ignored: Flags
    objects: Scores  # (N,) how many each image shows


@dataclass(frozen=True, eq=False)
class AveragePrecision:
    """The mean over classes and T IoU thresholds, of N images; a Measurement."""

    detections: Sequence[Detections]
    truths: Sequence[Boxes]
    thresholds: Scores
    matching: Matching = UPRIGHT
    resamples: int = _RESAMPLES

    @cached_property
    def scores(self) -> Scores:
        """Each image's own F1 at IoU 0.5 of the detections with a score from 0.3; (N,)."""
        pairs = zip(self.detections, self.truths, strict=True)
        return np.array([image_f1(*pair, self.matching) for pair in pairs])

    @cached_property
    def value(self) -> float:
        """What COCO's evaluation gives; NaN where no image shows an object."""
        if self.matching is not UPRIGHT:
            return float(self.resampled(np.ones((1, len(self.truths))))[0])
        return coco_value(self.detections, self.truths, self.thresholds)

    def resampled(self, counts: NDArray[Any]) -> Scores:
        """Return the metric of each resample (R,), from how often each image is drawn (R, N)."""
        counts = counts.astype(np.float64)
        total, classes = np.zeros(len(counts)), np.zeros(len(counts))
        for matched in self._classes:
            objects = counts @ matched.objects
            drawn = objects > 0
            total[drawn] += _precision(matched, counts[drawn], objects[drawn])
            classes += drawn
        means: Scores = np.where(classes > 0, total / np.maximum(classes, 1), np.nan)
        return means

    def by_class(self) -> list[tuple[int, int, float]]:
        """Return each class that is labelled: its index, its objects and its average precision."""
        rows = []
        for label, matched in zip(self._labels, self._classes, strict=True):
            objects, each = matched.objects.sum(keepdims=True), np.ones((1, len(self.truths)))
            rows.append((label, int(objects[0]), float(_precision(matched, each, objects)[0])))
        return rows

    def precisions(self) -> Scores:
        """Return the precision at recalls from 0 to 1 in 101 steps, at the lowest threshold.

        It is the mean over the classes, of each the best that any higher recall still has.
        """
        mean: Scores = np.mean([_precisions(matched) for matched in self._classes], axis=0)
        return mean

    @cached_property
    def _labels(self) -> list[int]:
        counted = [boxes.classes[~self.matching.ignored(boxes)] for boxes in self.truths]
        return [int(label) for label in np.unique(np.concatenate(counted))]

    @cached_property
    def _classes(self) -> list[_Class]:
        return [self._matched(label) for label in self._labels]

    def _matched(self, label: int) -> _Class:
        parts = []
        objects = np.zeros(len(self.truths))
        for index, (image, truth) in enumerate(zip(self.detections, self.truths, strict=True)):
            seen, there = np.flatnonzero(image.classes == label), truth.classes == label
            if there.any():
                objects[index] = (~self.matching.ignored(truth))[there].sum()
            if len(seen):
                order = np.argsort(-image.scores[seen], kind="stable")[: self.matching.most]
                own, true = image.take(seen[order]), truth.take(there)
                hits, ignored = image_matches(own, true, self.matching, self.thresholds)
                parts.append((own.scores, np.full(len(own), index), hits, ignored))
        if not parts:
            none = np.zeros((len(self.thresholds), 0), bool)
            return _Class(np.zeros(0, np.int64), none, none, objects)
        scores, images, hits, ignored = (
            np.concatenate(column, axis=-1) for column in zip(*parts, strict=True)
        )
        order = np.argsort(-scores, kind="mergesort")
        return _Class(images[order], hits[:, order], ignored[:, order], objects)


def image_matches(
    detections: Detections, truth: Boxes, matching: Matching, thresholds: Scores
) -> tuple[Flags, Flags]:
    """Tell which detections of an image and a class hit an object, and which count neither way."""
    if not len(truth):
        nothing = np.zeros((len(thresholds), len(detections)), bool)
        return nothing, nothing
    table = matching.overlaps(detections, truth)
    return matches(table, truth.crowd, thresholds, matching.ignored(truth))


def matches(
    table: Scores, crowd: Flags, thresholds: Scores, ignored: Flags | None = None
) -> tuple[Flags, Flags]:
    """Tell which M detections of an image, best first, hit an object of their class, (T, M) each.

    ``table`` (M, G) holds overlaps. A detection takes the free object that it overlaps most; what
    only an ``ignored`` one overlaps, by default a crowd, is ignored (second result). Source: Lin et
    al., Microsoft COCO, ECCV 2014, and its evaluation's evaluateImg.
    """
    ignored = crowd if ignored is None else ignored
    hits = np.zeros((len(thresholds), len(table)), bool)
    neither = np.zeros_like(hits)
    limits = np.minimum(thresholds, 1 - 1e-10)
    near = table.max(axis=1, initial=0) >= limits.min()  # of most detections of a model none is
    for row, limit in enumerate(limits):
        free = np.ones(table.shape[1], bool)
        for column in np.flatnonzero(near):
            values = table[column]
            able = (values >= limit) & (free | crowd)
            single = able & ~ignored
            candidates = single if single.any() else able
            if not candidates.any():
                continue
            # of equal overlaps the last, as COCO has it
            best = len(values) - 1 - int(np.argmax(np.where(candidates, values, -1)[::-1]))
            free[best] = False
            hits[row, column], neither[row, column] = not ignored[best], ignored[best]
    return hits, neither


def _precision(matched: _Class, counts: Scores, objects: Scores) -> Scores:
    """Return a class's average precision (R,), mean over the thresholds, of resamples (R, N)."""
    if not len(matched.images):
        return np.zeros(len(counts))
    at_once = max(1, _AT_ONCE // len(matched.images))
    parts = [
        _precision_of(matched, counts[start : start + at_once], objects[start : start + at_once])
        for start in range(0, len(counts), at_once)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def _precision_of(matched: _Class, counts: Scores, objects: Scores) -> Scores:
    """Return the same of resamples that fit into memory together.

    Only where an object is hit can precision be the best at some recall.
    """
    drawn = counts[:, matched.images]
    all_so_far = np.cumsum(drawn, axis=1)
    total = np.zeros(len(counts))
    for hits, ignored in zip(matched.hits, matched.ignored, strict=True):
        so_far = np.cumsum(drawn * ~ignored, axis=1) if ignored.any() else all_so_far
        right = np.cumsum(drawn[:, hits], axis=1)
        precision = right / np.maximum(so_far[:, hits], np.spacing(1))
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        reached = np.searchsorted(RECALLS, right / objects[:, np.newaxis], side="right")
        steps = np.diff(reached, axis=1, prepend=0)
        total += (steps * best).sum(axis=1) / len(RECALLS)
    mean: Scores = total / len(matched.hits)
    return mean


def _precisions(matched: _Class) -> Scores:
    """Return a class's precision at 101 recalls, at the lowest threshold."""
    precisions = np.zeros(len(RECALLS))
    if not len(matched.images):
        return precisions
    hits, counted = matched.hits[0], ~matched.ignored[0]
    right = np.cumsum(hits)[hits]
    precision = right / np.cumsum(counted)[hits]
    best = np.maximum.accumulate(precision[::-1])[::-1]
    first = np.searchsorted(right / matched.objects.sum(), RECALLS)
    reached = first < len(best)
    precisions[reached] = best[first[reached]]
    return precisions


def image_f1(detections: Detections, truth: Boxes, matching: Matching = UPRIGHT) -> float:
    """Return an image's F1 at IoU 0.5 of detections with a score from 0.3; 1 where all is right."""
    shown = detections.above(OWN_SCORE)
    right = counted = 0
    for label in np.unique(np.concatenate([shown.classes, truth.classes])):
        own, true = shown.take(shown.classes == label), truth.take(truth.classes == label)
        hits, ignored = image_matches(own, true, matching, np.array([_OWN_OVERLAP]))
        right += int(hits.sum())
        counted += int((~ignored).sum()) + int((~matching.ignored(true)).sum())
    return 2 * right / counted if counted else 1.0
