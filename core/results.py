"""What a run found: frozen values that the report renders and the command line gates on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from .diagnostics import Diagnostic
from .errors import RockpressError


@dataclass(frozen=True)
class LatencyFigure:
    """One latency in ms with its band; ``kind`` is npu-estimate, host or board.

    An estimate for a chip with nothing to fit on has cycles but no milliseconds.
    """

    kind: str
    ms: float | None
    low: float | None = None
    high: float | None = None
    cycles: int | None = None


@dataclass(frozen=True)
class AccuracyFigure:
    """A metric's value on so many samples; ``runner`` is onnxruntime, rknn-simulator or board."""

    metric: str
    value: float
    low: float | None
    high: float | None
    samples: int
    runner: str


@dataclass(frozen=True)
class ModelRow:
    """One form of the model along the chain."""

    stage: str
    path: str | None
    bytes: int
    parameters: int | None = None
    macs: int | None = None
    latency: tuple[LatencyFigure, ...] = ()
    accuracy: AccuracyFigure | None = None

    @property
    def cycles(self) -> int | None:
        """The compiler's cycles, when this form was compiled."""
        return next((one.cycles for one in self.latency if one.cycles is not None), None)


@dataclass(frozen=True)
class RetentionFigure:
    """What is left of the baseline; ``value`` is None without labels.

    ``outputs`` are those that the metric reads, () for all. ``mcnemar`` is a p-value.
    """

    metric: str | None
    value: float | None
    low: float | None
    high: float | None
    samples: int
    agreement: float | None
    sqnr_db: float
    outputs: tuple[str, ...] = ()
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    mcnemar: float | None = None


# of a target that failed: nothing was compared
NOTHING_COMPARED = RetentionFigure(None, None, None, None, 0, None, math.nan)


@dataclass(frozen=True)
class TradeoffFigure:
    """So many tensors in 16 bits: estimated cycles over the int8 model's, and SQNR in dB.

    In w4a16, where they are weights, ``size_ratio`` (of all weights, over int8's) is instead of
    ``cycles_ratio``.
    """

    floating: int
    cycles_ratio: float | None
    sqnr_db: float
    size_ratio: float | None = None

    @property
    def cost(self) -> tuple[float, str]:
        """The ratio that is known, and of what: cycles or size."""
        if self.cycles_ratio is not None:
            return self.cycles_ratio, "cycles"
        return self.size_ratio or 0.0, "size"


@dataclass(frozen=True)
class QuantizationFigure:
    """The method that was kept, and the SQNR of each that was compared on held-out samples.

    ``tradeoffs`` are the choices of mixed precision that were tried, and ``floating`` how many
    tensors stay in ``wide`` (float16 or int16) in the one that was kept. With labels, ``scores``
    has the ``metric`` of each method; ``chosen_by`` names what decided: sqnr, the
    metric, or user where the method was asked for.
    """

    method: str
    held_out: int
    candidates: dict[str, float]
    floating: int = 0
    tradeoffs: tuple[TradeoffFigure, ...] = ()
    metric: str | None = None
    scores: dict[str, float] = field(default_factory=dict)
    chosen_by: str = "sqnr"
    wide: str = "float16"


@dataclass(frozen=True)
class PruningFigure:
    """What pruning did. The ratios are pruned over unpruned, in the number format of the result.

    ``predicted_ratio`` is that of the ``budget`` (cycles, latency, macs or size) as the search saw
    it, without the compiler; both are None when no channels were to be removed. ``measure`` says
    what the likeness of the ``curve`` is. ``choice`` is which of several plans was kept, and what
    each gave on held-out samples. ``distillation`` is what training made better, when it
    was asked for. ``sparsity`` tells of layers made 2:4 sparse.
    """

    cycles_ratio: float | None
    macs_ratio: float | None
    parameters_ratio: float | None
    budget: str | None
    predicted_ratio: float | None
    measure: str
    curve: tuple[dict[str, Any], ...]
    groups: tuple[dict[str, Any], ...]
    blocks: tuple[dict[str, Any], ...] = ()
    attempts: tuple[dict[str, Any], ...] = ()
    choice: dict[str, Any] | None = None
    distillation: dict[str, Any] | None = None
    sparsity: dict[str, Any] | None = None

    @property
    def ratios(self) -> dict[str, float | None]:
        """Those that were measured on the models."""
        return {
            "cycles": self.cycles_ratio,
            "macs": self.macs_ratio,
            "parameters": self.parameters_ratio,
        }


@dataclass(frozen=True)
class GateFigure:
    """A limit, the value seen, and whether it holds."""

    name: str
    limit: float
    value: float
    passed: bool


@dataclass(frozen=True)
class ChangeFigure:
    """A figure of an earlier report and of this one; ``change`` is after / before - 1."""

    name: str
    before: float
    after: float
    change: float


@dataclass(frozen=True)
class StageRun:
    """One stage of the chain: done, cached, skipped or failed, and how long it took."""

    name: str
    status: str
    seconds: float


@dataclass(frozen=True)
class TargetReport:
    """All about one target chip (None when nothing was converted).

    With an ``error`` it failed: it has no models, and its last stage may say where.
    """

    target: str | None
    models: tuple[ModelRow, ...]
    retention: RetentionFigure
    ratios: dict[str, float | None]
    pruning: PruningFigure | None
    quantization: QuantizationFigure | None = None
    examples: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    layers: tuple[dict[str, Any], ...] = ()
    feed: dict[str, Any] = field(default_factory=dict)
    gates: tuple[GateFigure, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    stages: tuple[StageRun, ...] = ()
    error: RockpressError | None = None
    changes: tuple[ChangeFigure, ...] = ()
    reference_layers: tuple[dict[str, Any], ...] = ()
    robustness: tuple[dict[str, Any], ...] = ()
    drift: tuple[dict[str, Any], ...] = ()

    def model(self, stage: str) -> ModelRow | None:
        """The row of a stage, or None when the chain did not have it."""
        return next((row for row in self.models if row.stage == stage), None)


@dataclass(frozen=True)
class Report:
    """One run: the tools, the recipe, and a report for each target.

    ``baseline`` is the earlier report that the targets' ``changes`` are against: its file, tool,
    toolkit and verdict.
    """

    tool: dict[str, str]
    toolkit: dict[str, str | None]
    recipe: dict[str, Any]
    targets: tuple[TargetReport, ...]
    baseline: dict[str, Any] | None = None

    @property
    def passed(self) -> bool:
        """Whether no target failed and every gate holds (true when no gate was asked for)."""
        return not self.failures and all(
            gate.passed for target in self.targets for gate in target.gates
        )

    @property
    def failures(self) -> dict[str, RockpressError]:
        """The targets that failed, and why."""
        return {one.target or "": one.error for one in self.targets if one.error is not None}
