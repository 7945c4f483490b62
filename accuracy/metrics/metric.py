"""What a metric is: from outputs to predictions, and from predictions and labels to a number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ...calibration_data.sources.labels import Kind, Labels
from ...core.results.predictions import Prediction
from ...core.types import Array
from .measurement import Measurement

Outputs = Sequence[Array]
Predictions = Sequence[Any] | Array


@dataclass(frozen=True)
class Listing:
    """What of a prediction is told: the names of its classes, how many, and from which score on.

    ``least`` None stands for ``shown_from`` of the metric. With ``nearly`` objects are told from
    half of that score on, so that a comparison can say what is left of one.
    """

    names: tuple[str, ...] = ()
    most: int = 5
    least: float | None = None
    nearly: bool = False


class Metric(ABC):
    """A way to score a task.

    ``predict`` decodes a model's outputs, each (N, ...), without labels; ``measure`` scores what
    was decoded. The options of a metric are the fields of its dataclass that have metadata.
    ``kind`` is what its labels are; None takes any. ``perfect`` is the value that no model exceeds;
    None where there is no such value, or it is not known.
    """

    kind: ClassVar[Kind | None] = None
    perfect: ClassVar[float | None] = None
    lower_is_better: bool = False

    @property
    @abstractmethod
    def name(self) -> str:
        """What reports call it."""

    def bound(self, input_size: tuple[int, int] | None) -> Metric:
        """Return the metric for a model with this height and width of its image input, if any."""
        return self

    def fits(self, outputs: Outputs) -> bool:
        """Tell whether outputs can be decoded; asked where there are no labels to measure with."""
        return True

    @abstractmethod
    def predict(self, outputs: Outputs) -> Predictions:
        """Return one prediction a sample. Raises SamplesError or ModelError for other outputs."""

    @abstractmethod
    def measure(self, predictions: Predictions, labels: Labels) -> Measurement:
        """Measure the predictions. Raises SamplesError for labels that do not fit."""

    def agreement(self, first: Predictions, second: Predictions) -> float | None:
        """Return the share of samples for which two models predict the same; None where unknown."""
        return None

    def details(self, first: Predictions, second: Predictions, labels: Labels) -> dict[str, Any]:
        """Return more about what changed between two models, as plain values for the report."""
        return {}

    @property
    def shown_from(self) -> float:
        """The score, or the probability, from which on a prediction is shown."""
        return 0.0

    def class_names(self, labels: Labels) -> tuple[str, ...]:
        """Return the names of the classes; texts are none unless the metric tells classes apart."""
        return () if labels.kind == "text" and self.kind != "class" else labels.class_names()

    def least(self, listing: Listing) -> float:
        """Return the same as a listing has it."""
        return self.shown_from if listing.least is None else listing.least

    def plain(self, prediction: Any, listing: Listing) -> Prediction | None:
        """Return the prediction of one sample as what can be drawn; None where it is no such thing.

        Places are in the pixels of the model's input.
        """
        return None

    def shown(self, prediction: Any, labels: Labels | None = None) -> str:
        """Describe a prediction in a few words."""
        return str(prediction)

    def truth(self, labels: Labels, index: int) -> str:
        """Describe the label of one sample in a few words."""
        return str(labels[index])


# name -> the metric; a name that ends in K has a function of the number in its place
MetricTable = Mapping[str, Metric | Callable[[int], Metric]]
