"""Classification: the label among the k largest of the scores, recall and confusions a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...calibration_data.sources.labels import Classes, Kind, Labels
from ...core.diagnostics import option
from ...core.errors import ModelError, OptionError, SamplesError
from ...core.results.predictions import PredictedClasses, ScoredClass, class_name
from ...core.types import Array, Float64
from .measurement import Scores, Sums, means
from .metric import Listing, Metric, MetricTable, Outputs, Predictions

# pairs of classes mistaken for one another that are listed
_CONFUSIONS = 10


@dataclass(frozen=True)
class TopK(Metric):
    """The share of samples whose label is among the ``k`` classes of the largest scores."""

    k: int = 1
    kind: ClassVar[Kind | None] = "class"
    perfect: ClassVar[float | None] = 1.0

    @property
    def name(self) -> str:
        return f"top{self.k}"

    def fits(self, outputs: Outputs) -> bool:
        """Tell whether the first output (N, ...) has one axis of more than one class."""
        return sum(length > 1 for length in outputs[0].shape[1:]) == 1

    def predict(self, outputs: Outputs) -> Array:
        return class_scores(outputs[0])

    def measure(self, predictions: Predictions, labels: Labels) -> Sums:
        return means(top_k(np.asarray(predictions), labels.classes(), self.k))

    def agreement(self, first: Predictions, second: Predictions) -> float:
        return float(agreement(np.asarray(first), np.asarray(second)).mean())

    def details(self, first: Predictions, second: Predictions, labels: Labels) -> dict[str, Any]:
        """Return the recall of every class in both models, and the confusions that changed most."""
        truth = labels.classes()
        scores = np.asarray(first), np.asarray(second)
        before, after = (rows.argmax(axis=1) for rows in scores)
        hits = [top_k(rows, truth, self.k) for rows in scores]
        names = labels.class_names()
        classes = [
            {
                "class": _named(int(label), names),
                "samples": int((truth == label).sum()),
                "baseline": float(hits[0][truth == label].mean()),
                "candidate": float(hits[1][truth == label].mean()),
            }
            for label in np.unique(truth)
        ]
        return {"classes": classes, "confusions": confusion_changes(truth, before, after, names)}

    def plain(self, prediction: Any, listing: Listing) -> PredictedClasses:
        scores = probabilities(np.asarray(prediction, np.float64))
        best = np.argsort(-scores, kind="stable")[: listing.most]
        return PredictedClasses(
            tuple(
                ScoredClass(int(index), class_name(int(index), listing.names), float(scores[index]))
                for index in best
                if scores[index] >= self.least(listing)
            )
        )

    def shown(self, prediction: Any, labels: Labels | None = None) -> str:
        return _named(int(np.argmax(prediction)), labels.class_names() if labels else ())

    def truth(self, labels: Labels, index: int) -> str:
        return _named(int(labels.classes()[index]), labels.class_names())


def top_k(outputs: Array, labels: Classes, k: int) -> Scores:
    """Return 1.0 where the label is among the k largest of (N, classes) outputs, else 0.0; (N,).

    Of equal outputs the first counts as the larger, as ``argmax`` has it. Axes of length 1 are
    dropped. Raises SamplesError when outputs and labels do not match, OptionError for a k above
    the number of classes, ModelError for NaN.

    >>> top_k(np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]]), np.array([1, 2]), k=1).tolist()
    [1.0, 0.0]
    """
    scores = class_scores(outputs)
    classes = scores.shape[1]
    _check_labels(labels, len(scores), classes)
    if not 1 <= k <= classes:
        raise OptionError(
            f"top{k} of {classes} classes says nothing",
            f"use {option('metric', 'top1')} for so few classes",
        )
    of_label = scores[np.arange(len(labels)), labels][:, np.newaxis]
    earlier = np.arange(classes) < labels[:, np.newaxis]
    rank = ((scores > of_label) | ((scores == of_label) & earlier)).sum(axis=1)
    hits: Scores = (rank < k).astype(np.float64)
    return hits


def agreement(a: Array, b: Array) -> Scores:
    """Return 1.0 where outputs (N, classes) have the same largest class, else 0.0; (N,).

    Raises SamplesError when the shapes differ or the outputs are not (N, classes).

    >>> agreement(np.array([[1.0, 2.0], [3.0, 0.0]]), np.array([[0.0, 9.0], [1.0, 2.0]])).tolist()
    [1.0, 0.0]
    """
    first, second = class_scores(a), class_scores(b)
    if first.shape != second.shape:
        raise SamplesError(
            f"outputs of the shapes {first.shape} and {second.shape} cannot be compared",
            "run both models on the same samples",
        )
    same: Scores = (first.argmax(axis=1) == second.argmax(axis=1)).astype(np.float64)
    return same


def class_scores(outputs: Array) -> Array:
    """Return (N, classes) of an output that may have more axes of length 1, as (N, C, 1, 1)."""
    long = [axis for axis in range(1, outputs.ndim) if outputs.shape[axis] != 1]
    if outputs.ndim < 2 or len(long) > 1 or 0 in outputs.shape:
        raise SamplesError(
            f"the output of shape {outputs.shape} is not (N, classes)",
            f"top1, top5 and agreement are for classifiers: choose another {option('metric')} or "
            "output",
        )
    scores = outputs.reshape(len(outputs), -1)
    if np.isnan(scores).any():
        raise ModelError("the outputs hold NaN, so they have no order", "check the model's outputs")
    return scores


def probabilities(scores: Float64) -> Float64:
    """Return scores (C,) within 0..1, and int8's rounding beside it, as they are; logits' softmax.

    >>> probabilities(np.array([0.0, np.log(3.0)])).round(3).tolist()
    [0.25, 0.75]
    """
    if scores.min() >= -0.05 and scores.max() <= 1.05:
        return scores
    odds = np.exp(scores - scores.max())
    shares: Float64 = odds / odds.sum()
    return shares


def confusion_changes(
    labels: Classes, first: Classes, second: Classes, names: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Count which class is taken for which other more or less often, the largest change first.

    >>> confusion_changes(np.array([3, 3]), np.array([3, 3]), np.array([3, 5]))
    [{'label': '3', 'predicted': '5', 'baseline': 0, 'candidate': 1}]
    """
    old, new = (_confusions(labels, classes) for classes in (first, second))
    changed = [(pair, old.get(pair, 0), new.get(pair, 0)) for pair in sorted(set(old) | set(new))]
    changed.sort(key=lambda row: -abs(row[2] - row[1]))
    return [
        {
            "label": _named(pair[0], names),
            "predicted": _named(pair[1], names),
            "baseline": before,
            "candidate": after,
        }
        for pair, before, after in changed[:_CONFUSIONS]
        if before != after
    ]


def _confusions(labels: Classes, classes: NDArray[Any]) -> dict[tuple[int, int], int]:
    wrong = labels != classes
    pairs, counts = np.unique(
        np.stack([labels[wrong], classes[wrong]], axis=1), axis=0, return_counts=True
    )
    return {(int(a), int(b)): int(n) for (a, b), n in zip(pairs, counts, strict=True)}


def _named(label: int, names: Sequence[str]) -> str:
    return f"{label} {names[label]}" if label < len(names) else str(label)


def _check_labels(labels: Classes, count: int, classes: int) -> None:
    if labels.shape != (count,):
        raise SamplesError(
            f"labels of shape {labels.shape} for the outputs of {count} samples",
            "give one label a sample",
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise SamplesError(
            f"the labels range from {labels.min()} to {labels.max()}, "
            f"but the model has {classes} classes (0 to {classes - 1})",
            "check the class folders or the labels; is there a background class?",
        )


METRICS: MetricTable = {"top1": TopK(1), "top5": TopK(5), "topK": TopK}
