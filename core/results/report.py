"""What a run found, for every target: the value that each format of the report renders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..diagnostics import Diagnostic
from ..errors import RockpressError
from .layer_rows import Feed, LayerRow, LayerTime
from .model_figures import ModelRow, QuantizationFigure, Ratios, RetentionFigure
from .pruning_figures import PruningFigure
from .sample_rows import ChangedSamples, DriftRow, MetricDetails, RobustnessRow


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
class ToolVersion:
    """A tool that made the report; the version is None where it is not installed."""

    name: str
    version: str | None = None


@dataclass(frozen=True)
class EarlierReport:
    """The report that a run is compared with: its file, its verdict, and what made it."""

    file: str
    verdict: str
    tool: ToolVersion
    toolkit: ToolVersion


@dataclass(frozen=True)
class TargetReport:
    """All about one target chip (None when nothing was converted).

    With an ``error`` it failed: it has no models, and its last stage may say where.
    ``reference_layers`` are those of the original model.
    """

    target: str | None
    models: tuple[ModelRow, ...]
    retention: RetentionFigure
    ratios: Ratios
    pruning: PruningFigure | None
    quantization: QuantizationFigure | None = None
    examples: ChangedSamples | None = None
    details: MetricDetails | None = None
    layers: tuple[LayerRow, ...] = ()
    feed: Feed | None = None
    gates: tuple[GateFigure, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    stages: tuple[StageRun, ...] = ()
    error: RockpressError | None = None
    changes: tuple[ChangeFigure, ...] = ()
    reference_layers: tuple[LayerTime, ...] = ()
    robustness: tuple[RobustnessRow, ...] = ()
    drift: tuple[DriftRow, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether it did not fail and every gate holds (true when no gate was asked for)."""
        return self.error is None and all(gate.passed for gate in self.gates)

    def model(self, stage: str) -> ModelRow | None:
        """Return the row of a stage, or None when the chain did not have it."""
        return next((row for row in self.models if row.stage == stage), None)


@dataclass(frozen=True)
class Report:
    """One run: the tools, the recipe as a document, and a report for each target.

    ``baseline`` is the earlier report that the targets' ``changes`` are against.
    """

    tool: ToolVersion
    toolkit: ToolVersion
    recipe: Mapping[str, object]
    targets: tuple[TargetReport, ...]
    baseline: EarlierReport | None = None

    @property
    def passed(self) -> bool:
        """Whether no target failed and every gate holds (true when no gate was asked for)."""
        return all(target.passed for target in self.targets)

    @property
    def failures(self) -> dict[str, RockpressError]:
        """The targets that failed, and why."""
        errors = ((target.target or "", target.error) for target in self.targets)
        return {name: error for name, error in errors if error is not None}
