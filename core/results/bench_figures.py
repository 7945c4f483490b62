"""What ``bench`` found of a ``.rknn`` on a board: measured, beside what was estimated."""

from __future__ import annotations

from dataclasses import dataclass

from ..diagnostics import Diagnostic
from .board_figures import BoardFacts, BoardTimings, LoadedModel, TimeSpread
from .model_figures import LatencyFigure


@dataclass(frozen=True)
class BenchedModel:
    """The file that ran: ``digest`` is its sha256, ``quantization`` by its manifest.

    A run takes ``rows`` samples together.
    """

    name: str
    bytes: int
    digest: str
    target: str
    toolkit: str
    quantization: str | None = None
    rows: int = 1


@dataclass(frozen=True)
class MeasuredLayer:
    """A layer as the runtime timed it, beside its part of the estimate; in microseconds."""

    name: str
    op: str
    runs_on: str
    us: float
    estimated_us: float | None = None

    @property
    def ratio(self) -> float | None:
        """Measured over estimated; None where there is no estimate."""
        return self.us / self.estimated_us if self.estimated_us else None


@dataclass(frozen=True)
class BoardBench:
    """One model measured on one board, as ``bench`` tells it.

    ``run`` are the times of rknn_run by the clock, ``npu`` as the runtime tells them, where it
    does. ``ratio`` is the median of the former for one sample over the ``estimate``,
    ``layers_ratio`` that of all ``layers``. ``date`` is the day.
    """

    model: BenchedModel
    date: str
    board: BoardFacts
    loaded: LoadedModel
    run: TimeSpread
    npu: TimeSpread | None
    timings: BoardTimings
    estimate: LatencyFigure | None = None
    ratio: float | None = None
    layers: tuple[MeasuredLayer, ...] = ()
    layers_ratio: float | None = None
    warnings: tuple[Diagnostic, ...] = ()
