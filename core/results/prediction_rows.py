"""What one model, or two side by side, said of samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..diagnostics import Diagnostic
from .differences import Difference
from .family_figure import FamilyFigure
from .model_figures import Memory
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

    ``least`` is the score from which on something is shown. ``board`` is the address of the one
    that a ``.rknn`` ran on, None where it was simulated. ``memory`` has what those of the models
    take on their chip of which that is known.
    """

    model: Path
    against: Path | None
    metric: str
    least: float
    samples: tuple[SamplePrediction, ...]
    family: FamilyFigure | None = None
    warnings: tuple[Diagnostic, ...] = ()
    board: str | None = None
    memory: Mapping[Path, Memory] = field(default_factory=dict)

    @property
    def differing(self) -> int:
        """In how many samples the two models differ."""
        return sum(row.difference is not None and row.difference.differs for row in self.samples)

    @property
    def likeness(self) -> float | None:
        """The mean likeness of the two models over the samples, None of one model."""
        values = [row.difference.likeness for row in self.samples if row.difference is not None]
        return sum(values) / len(values) if values else None
