"""Metrics of your own for ``--metric own_metric:NAME``, with this folder on PYTHONPATH.

    PYTHONPATH=examples rockpress check model.onnx build/rk3588/model.rknn --eval labelled/ \\
        --metric own_metric:log_loss

A function gets the outputs of the model, each (N, ...), and the labels, and returns N numbers whose
mean is the metric. A metric that is no mean of that kind is a subclass of Metric.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rockpress.accuracy.metrics.measurement import Sums
from rockpress.accuracy.metrics.metric import Metric
from rockpress.calibration_data.sources.labels import Labels

Array = NDArray[Any]


def log_loss(outputs: Sequence[Array], labels: NDArray[np.int64]) -> Array:
    """Return the cross entropy of logits (N, classes): sensitive where top-1 sees nothing."""
    logits = outputs[0].reshape(len(labels), -1).astype(np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    total = np.log(np.exp(shifted).sum(axis=1))
    losses: Array = total - shifted[np.arange(len(labels)), labels]
    return losses


log_loss.lower_is_better = True  # type: ignore[attr-defined]


@dataclass(frozen=True)
class F1(Metric):
    """F1 of one class: no mean over the samples, but a formula of sums over them."""

    positive: int = field(default=1, metadata={"help": "the class that is looked for"})

    @property
    def name(self) -> str:
        """Return the metric's name for the report."""
        return f"f1 of class {self.positive}"

    def predict(self, outputs: Sequence[Array]) -> Array:
        """Return the largest class of each sample, (N,)."""
        classes: Array = outputs[0].reshape(len(outputs[0]), -1).argmax(axis=1)
        return classes

    def measure(self, predictions: Any, labels: Labels) -> Sums:
        """Return sums of true positives, predicted and labelled ones, from which F1 follows."""
        predicted, labelled = predictions == self.positive, labels.classes() == self.positive
        rows = np.stack([predicted & labelled, predicted, labelled], axis=1).astype(np.float64)
        return Sums(
            scores=(predicted == labelled).astype(np.float64),
            rows=rows,
            formula=lambda sums: 2 * sums[:, 0] / (sums[:, 1] + sums[:, 2]),
        )
