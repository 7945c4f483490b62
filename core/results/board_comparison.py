"""What a board gave on the samples, and how far that is from the simulator."""

from __future__ import annotations

from dataclasses import dataclass

from .board_figures import TimeSpread
from .part_figures import PartFigure


@dataclass(frozen=True)
class SimulatorFigure:
    """The simulator's figures on the samples of the board, and how far the two are apart.

    ``value`` is that of the metric, ``low`` and ``high`` the interval of ``retention``; None
    without labels. ``agreement``, ``sqnr_db`` (of the worst) and ``parts`` are of the board's
    outputs against the simulator's. ``is_rounding`` is whether rounding alone explains that.
    """

    value: float | None
    retention: float | None
    low: float | None
    high: float | None
    agreement: float | None
    sqnr_db: float
    parts: tuple[PartFigure, ...]
    is_rounding: bool


@dataclass(frozen=True)
class LayerDifference:
    """How far what a layer gives is on the board from what it gives in the simulator.

    ``op`` is the layer after fusion, such as ConvRelu, and ``name`` the tensor that it writes.
    ``step`` is the scale of that in int8, None for a float, of which a step is 2^-9 of the largest
    value of a sample. ``max_steps`` is the largest difference, and ``share`` the part of the values
    that differ by more than one step. ``is_rounding`` is whether rounding explains it: no value
    does, or the noise is no more than that of two computations of the same network.
    """

    name: str
    op: str
    step: float | None
    sqnr_db: float
    max_steps: float
    share: float
    is_rounding: bool


@dataclass(frozen=True)
class LayerComparison:
    """The layers of builds that have what they give among their outputs, on so many samples.

    ``layers`` are those that were looked at, as they follow each other, of ``count``. ``first`` is
    the first that differs by more than rounding. ``outputs_db`` is how far the model's own outputs
    on the board are from those without the others beside them. ``is_joined`` is whether they
    differ from the simulator's without the others alone, so by how layers are joined.
    """

    samples: int
    count: int
    builds: int
    layers: tuple[LayerDifference, ...]
    first: str | None
    outputs_db: float
    is_joined: bool

    @property
    def first_layer(self) -> LayerDifference | None:
        """The first that differs by more than rounding."""
        return next((layer for layer in self.layers if layer.name == self.first), None)


@dataclass(frozen=True)
class BoardFigure:
    """A board by what it says of itself, and what it took for one inference (rknn_run).

    ``is_settled`` is whether the medians of the last rounds agree. ``simulator`` is None where
    nothing was simulated, ``layers`` where nobody asked for them.
    """

    board: str | None
    chip: str | None
    runtime: str | None
    driver: str | None
    run_ms: TimeSpread
    is_settled: bool
    simulator: SimulatorFigure | None = None
    layers: LayerComparison | None = None

    @property
    def differs(self) -> bool:
        """Whether the board computes something else than the simulator, beyond rounding."""
        return self.simulator is not None and not self.simulator.is_rounding
