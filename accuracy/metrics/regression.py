"""Regression: how far the numbers are off, and how much of what varies is explained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ...calibration_data.sources.labels import Kind, Labels
from ...core.diagnostics import option
from ...core.errors import SamplesError
from ...core.results.predictions import PredictedNumbers
from ...core.types import Array, Float64
from .measurement import Scores, Sums, means
from .metric import Listing, Metric, MetricTable, Outputs, Predictions


@dataclass(frozen=True)
class RegressionMetric(Metric):
    """Mean absolute error (``mae``), or the coefficient of determination (``r2``).

    With several numbers a sample, their mean.
    """

    name: Literal["mae", "r2"] = "mae"
    lower_is_better: bool = True
    kind: ClassVar[Kind | None] = "vector"
    perfect: ClassVar[float | None] = 1.0

    def predict(self, outputs: Outputs) -> Array:
        """Return the numbers of the first output, (N, D)."""
        numbers: Array = np.asarray(outputs[0], np.float64).reshape(len(outputs[0]), -1)
        return numbers

    def measure(self, predictions: Predictions, labels: Labels) -> Sums:
        """Measure absolute errors, or the sums of R2. Raises SamplesError for other shapes."""
        numbers, truth = np.asarray(predictions), labels.vectors()
        if numbers.shape != truth.shape:
            raise SamplesError(
                f"labels of {truth.shape[1]} numbers for an output of {numbers.shape[1]} a sample",
                "give as many numbers as the output has, or name it with "
                f"{option('metric-output')}",
            )
        if self.name == "mae":
            return means(np.abs(numbers - truth).mean(axis=1))
        squares = (numbers - truth) ** 2
        # about the mean, so that the sums of squares do not cancel
        about = truth - truth.mean(axis=0)
        rows = np.concatenate([np.ones((len(truth), 1)), about, about**2, squares], axis=1)
        return Sums(-squares.mean(axis=1), rows, _determination)

    def plain(self, prediction: object, listing: Listing) -> PredictedNumbers:
        return PredictedNumbers(tuple(np.ravel(np.asarray(prediction)).tolist()))

    def shown(self, prediction: object, labels: Labels | None = None) -> str:
        return _numbers(np.asarray(prediction))

    def truth(self, labels: Labels, index: int) -> str:
        return _numbers(labels.vectors()[index])


def _determination(sums: Scores) -> Scores:
    """Return R2 = 1 - residual / total, from the sums of 1, y, y^2 and squared errors."""
    count = sums[:, :1]
    first, second, residual = np.split(sums[:, 1:], 3, axis=1)
    total = second - first**2 / count
    r2: Scores = (1 - residual / np.where(total > 0, total, np.nan)).mean(axis=1)
    return r2


def _numbers(values: Float64) -> str:
    shown = " ".join(f"{value:.4g}" for value in values.ravel()[:4])
    return shown + (" ..." if values.size > 4 else "")


METRICS: MetricTable = {
    "mae": RegressionMetric("mae"),
    "r2": RegressionMetric("r2", lower_is_better=False),
}
