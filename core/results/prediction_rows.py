"""What one model, or two side by side, said of samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..diagnostics import Diagnostic
from .differences import Difference
from .family_figure import FamilyFigure
from .predictions import Prediction


@dataclass(frozen=True)
class SamplePrediction:
    """What is said of a sample; with a second model by that too, and how the two differ.

    ``drawing`` is the picture that was written of it.
    """

    sample: str
    prediction: Prediction
    against: Prediction | None = None
    difference: Difference | None = None
    drawing: Path | None = None


@dataclass(frozen=True)
class PredictionReport:
    """All samples in their order, and how they were read.

    ``least`` is the score from which on something is shown.
    """

    model: Path
    against: Path | None
    metric: str
    least: float
    samples: tuple[SamplePrediction, ...]
    family: FamilyFigure | None = None
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def differing(self) -> int:
        """In how many samples the two models differ."""
        return sum(row.difference is not None and row.difference.differs for row in self.samples)

    @property
    def likeness(self) -> float | None:
        """The mean likeness of the two models over the samples, None of one model."""
        values = [row.difference.likeness for row in self.samples if row.difference is not None]
        return sum(values) / len(values) if values else None
