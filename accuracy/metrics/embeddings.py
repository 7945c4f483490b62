"""Embeddings: how near a vector is to the right one, and of which class its neighbours are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...calibration_data.sources.labels import Kind, Labels
from ...core.errors import SamplesError
from ...core.results.predictions import PredictedNumbers
from ...core.types import Array
from .measurement import Sums, means
from .metric import Listing, Metric, MetricTable, Outputs, Predictions

# similarities that are in memory at once
_AT_ONCE = 16_000_000


class _Embedding(Metric):
    """A metric of the first output as unit vectors (N, D); models agree as far as theirs do."""

    perfect: ClassVar[float | None] = 1.0

    def predict(self, outputs: Outputs) -> Array:
        return unit_vectors(outputs[0])

    def agreement(self, first: Predictions, second: Predictions) -> float:
        return float((np.asarray(first) * np.asarray(second)).sum(axis=1).mean())

    def plain(self, prediction: object, listing: Listing) -> PredictedNumbers:
        return PredictedNumbers(tuple(np.ravel(np.asarray(prediction)).tolist()))

    def shown(self, prediction: object, labels: Labels | None = None) -> str:
        return _first_numbers(np.ravel(np.asarray(prediction)))


@dataclass(frozen=True)
class Cosine(_Embedding):
    """Mean cosine similarity of the first output with the label's vector."""

    name: ClassVar[str] = "cosine"
    kind: ClassVar[Kind | None] = "vector"

    def measure(self, predictions: Predictions, labels: Labels) -> Sums:
        """Measure each sample's similarity. Raises SamplesError for vectors of another length."""
        vectors, truth = np.asarray(predictions), unit_vectors(labels.vectors())
        if vectors.shape != truth.shape:
            raise SamplesError(
                f"labels of {truth.shape[1]} numbers for embeddings of {vectors.shape[1]}",
                "give vectors of that length, such as those of the model they are to be near to",
            )
        return means((vectors * truth).sum(axis=1))

    def truth(self, labels: Labels, index: int) -> str:
        return _first_numbers(labels.vectors()[index])


@dataclass(frozen=True)
class Recall(_Embedding):
    """The share of samples one of whose ``k`` nearest others is of its class.

    The set is its own gallery; its samples are queries one after the other. A sample that is alone
    in its class is no query. The interval is over queries, the gallery being what it is: drawing
    the gallery too would put a sample's copy next to it.
    """

    k: int = 1
    kind: ClassVar[Kind | None] = "class"

    @property
    def name(self) -> str:
        return f"recall@{self.k}"

    def measure(self, predictions: Predictions, labels: Labels) -> Sums:
        vectors, classes = np.asarray(predictions), labels.classes()
        hits = neighbours_agree(vectors, classes, self.k)
        _, indices, counts = np.unique(classes, return_inverse=True, return_counts=True)
        is_query = counts[indices] > 1
        scores = (hits & is_query).astype(np.float64)
        rows = np.stack([scores, is_query.astype(np.float64)], axis=1)
        return Sums(scores, rows, proportion=bool(is_query.all()))


def unit_vectors(vectors: Array) -> Array:
    """Return (N, D) of length 1 from (N, ...); a vector of zeros stays one."""
    flat = np.asarray(vectors, np.float64).reshape(len(vectors), -1)
    units: Array = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    return units


def neighbours_agree(vectors: Array, classes: NDArray[np.int64], k: int) -> NDArray[np.bool_]:
    """Tell whether one of the k nearest other vectors (unit, (N, D)) has the same class, (N,).

    >>> vectors = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    >>> neighbours_agree(vectors, np.array([0, 1, 0]), 1).tolist()
    [False, False, False]
    >>> neighbours_agree(vectors, np.array([0, 1, 0]), 2).tolist()
    [True, False, True]
    """
    count = len(vectors)
    at_once = max(1, _AT_ONCE // count)
    agree = np.zeros(count, bool)
    for start in range(0, count, at_once):
        rows = np.arange(start, min(start + at_once, count))
        near = vectors[rows] @ vectors.T
        near[np.arange(len(rows)), rows] = -np.inf
        nearest = np.argsort(-near, axis=1, kind="stable")[:, : min(k, count - 1)]
        agree[rows] = (classes[nearest] == classes[rows, np.newaxis]).any(axis=1)
    return agree


def _first_numbers(vector: Array) -> str:
    return " ".join(f"{value:.3f}" for value in vector[:4])


METRICS: MetricTable = {"cosine": Cosine(), "recall@K": Recall}
