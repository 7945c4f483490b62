"""What a metric is: from outputs to predictions, and from predictions and labels to a number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from ...calibration_data.sources.labels import Kind, Labels
from ...core.types import Array
from .measurement import Measurement

Outputs = Sequence[Array]
Predictions = Sequence[Any] | Array


class Metric(ABC):
    """One way to score a task.

    ``predict`` decodes a model's outputs, each (N, ...), without labels; ``measure`` scores what
    was decoded. The options of a metric are the fields of its dataclass: ``--metric-option
    field=value`` sets one. ``kind`` is what its labels are; None takes any.
    """

    kind: ClassVar[Kind | None] = None
    lower_is_better: bool = False

    @property
    @abstractmethod
    def name(self) -> str:
        """What reports call it."""

    def bound(self, input_size: tuple[int, int] | None) -> Metric:
        """The metric for a model whose image input has this height and width, if it has one."""
        return self

    def fits(self, outputs: Outputs) -> bool:
        """Whether outputs can be decoded; asked where there are no labels to measure with."""
        return True

    @abstractmethod
    def predict(self, outputs: Outputs) -> Predictions:
        """One prediction a sample. Raises SamplesError or ModelError for other outputs."""

    @abstractmethod
    def measure(self, predictions: Predictions, labels: Labels) -> Measurement:
        """The metric of the predictions. Raises SamplesError for labels that do not fit."""

    def agreement(self, first: Predictions, second: Predictions) -> float | None:
        """The share of samples for which two models predict the same; None where unknown."""
        return None

    def details(self, first: Predictions, second: Predictions, labels: Labels) -> dict[str, Any]:
        """More about what changed from one model to the other, as plain values for the report."""
        return {}

    def shown(self, prediction: Any, labels: Labels | None = None) -> str:
        """A prediction in a few words."""
        return str(prediction)

    def truth(self, labels: Labels, index: int) -> str:
        """The label of one sample in a few words."""
        return str(labels[index])


# name -> the metric; a name that ends in K has a function of the number in its place
MetricTable = Mapping[str, Metric | Callable[[int], Metric]]
