"""What is known of the setting that latency is estimated for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...core.measured_kinds import MeasuredTimes
from ...core.options import Options, opt


@dataclass(frozen=True)
class LatencyOptions(Options):
    """Times that were measured on a board, which set the scale of the estimates for its chip."""

    heading: ClassVar[str] = "Conversion"

    measured: tuple[str, ...] = opt(
        (),
        MeasuredTimes(),
        "What a model took on your board: milliseconds of an ONNX model, or of a .rknn with its "
        "manifest; or a record of runs (docs/measured.md). Scales the estimate. Repeatable.",
        "run convert check inspect",
    )
