"""Regression: how far the numbers are off, and how much of what varies is explained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ...calibration_data.sources.labels import Kind, Labels
from ...core.diagnostics import option
from ...core.errors import SamplesError
from ...core.types import Array
from .measurement import Scores, Sums, means
from .metric import Metric, MetricTable, Outputs, Predictions

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class RegressionMetric(Metric):
    """Mean absolute error (``mae``), or the coefficient of determination (``r2``).

    With several numbers a sample, their mean.
    """

    form: Literal["mae", "r2"] = "mae"
    lower_is_better: bool = True
    kind: ClassVar[Kind | None] = "vector"

    @property
    def name(self) -> str:
        """mae or r2."""
        return self.form

    def predict(self, outputs: Outputs) -> Array:
        """The numbers of the first output, (N, D)."""
        numbers: Array = np.asarray(outputs[0], np.float64).reshape(len(outputs[0]), -1)
        return numbers

    def measure(self, predictions: Predictions, labels: Labels) -> Sums:
        """Absolute errors, or the sums that R2 is made of. Raises SamplesError for other shapes."""
        found, truth = np.asarray(predictions), labels.vectors()
        if found.shape != truth.shape:
            raise SamplesError(
                f"labels of {truth.shape[1]} numbers for an output of {found.shape[1]} a sample",
                "give as many numbers as the output has, or name it with "
                f"{option('metric-output')}",
            )
        if self.form == "mae":
            return means(np.abs(found - truth).mean(axis=1))
        squares = (found - truth) ** 2
        # about the mean, so that the sums of squares do not cancel
        about = truth - truth.mean(axis=0)
        rows = np.concatenate([np.ones((len(truth), 1)), about, about**2, squares], axis=1)
        return Sums(-squares.mean(axis=1), rows, _determination)

    def shown(self, prediction: object, labels: Labels | None = None) -> str:
        """The first numbers."""
        return _numbers(np.asarray(prediction))

    def truth(self, labels: Labels, index: int) -> str:
        """The first numbers of the label."""
        return _numbers(labels.vectors()[index])


def _determination(sums: Scores) -> Scores:
    """R2 = 1 - residual / total, from the sums of 1, y, y^2 and squared errors."""
    count = sums[:, :1]
    first, second, residual = np.split(sums[:, 1:], 3, axis=1)
    total = second - first**2 / count
    found: Scores = (1 - residual / np.where(total > 0, total, np.nan)).mean(axis=1)
    return found


def _numbers(values: Numbers) -> str:
    shown = " ".join(f"{value:.4g}" for value in values.ravel()[:4])
    return shown + (" ..." if values.size > 4 else "")


METRICS: MetricTable = {
    "mae": RegressionMetric("mae"),
    "r2": RegressionMetric("r2", lower_is_better=False),
}
