"""What is told and shown of predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...core.option_kinds import Number, Whole
from ...core.options import Options, opt


@dataclass(frozen=True)
class PredictOptions(Options):
    """How much of what a model says is shown."""

    heading: ClassVar[str] = "Result"

    top: int = opt(5, Whole(1), "How many to show: layers, or classes of a classifier.", "predict")
    count: int | None = opt(
        None,
        Whole(1),
        "How many samples to ask about: the first of each folder or file.",
        "predict",
        default="all",
    )
    threshold: float | None = opt(
        None,
        Number(0, 1),
        "The least score of an object or a class that is shown, and of a frame that is speech.",
        "predict",
        default="0.3 of objects, 0.5 of speech, any of classes",
    )
