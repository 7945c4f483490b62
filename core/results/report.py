"""What a run found, for every target: the value that each format of the report renders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..diagnostics import Diagnostic
from ..errors import RockpressError
from .board_comparison import BoardFigure
from .family_figure import FamilyFigure
from .graph_rows import GraphNode
from .layer_rows import Feed, LayerRow, LayerTime
from .model_figures import ModelRow, QuantizationFigure, Ratios, RetentionFigure
from .part_figures import PartFigure
from .pruning_figures import PruningFigure
from .sample_rows import AttackRow, ChangedSamples, DriftRow, MetricDetails, RobustnessRow

# none: no gate of the user's was set, and those that are always on hold
Verdict = Literal["pass", "fail", "none"]
ALIVE, FIDELITY = "outputs-alive", "fidelity"
_ALWAYS_ON = (ALIVE, FIDELITY)
REGRESSION = "max-regression-"  # with what it is of


@dataclass(frozen=True)
class GateFigure:
    """A limit, the value seen, and whether it holds; the value is NaN where there is none.

    ``end`` is that of the figure's interval, where that was held against the limit, and ``kind``
    that of a latency: npu-estimate, host or board. A retention has the kind board, or none.
    """

    name: str
    limit: float
    value: float
    passed: bool
    end: Literal["low", "high"] | None = None
    kind: str | None = None

    @property
    def is_asked(self) -> bool:
        """Whether the user has set it; the others are always on."""
        return self.name not in _ALWAYS_ON


@dataclass(frozen=True)
class Judgement:
    """The gates of a result, and the parts of its outputs that they judge."""

    gates: tuple[GateFigure, ...]
    parts: tuple[PartFigure, ...]

    @property
    def passed(self) -> bool:
        """Whether every gate holds."""
        return all(gate.passed for gate in self.gates)

    @property
    def verdict(self) -> Verdict:
        """Fail, or pass when the user has set a gate, or none."""
        if not self.passed:
            return "fail"
        return "pass" if any(gate.is_asked for gate in self.gates) else "none"


@dataclass(frozen=True)
class ChangeFigure:
    """A figure of an earlier report and of this one; ``change`` is after / before - 1."""

    name: str
    before: float
    after: float
    change: float


@dataclass(frozen=True)
class StageRun:
    """One stage of the chain: done, cached, skipped or failed, and how long it took.

    That of a cached one is what it took when it ran.
    """

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
    ``reference_layers`` are those of the original model, ``graph`` says what feeds what. With a
    ``board`` the retention, the parts and the gates of the result are of what that gave.
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
    attacks: tuple[AttackRow, ...] = ()
    drift: tuple[DriftRow, ...] = ()
    parts: tuple[PartFigure, ...] = ()
    graph: tuple[GraphNode, ...] = ()
    board: BoardFigure | None = None

    @property
    def seconds(self) -> float:
        """How long its stages took now, without those that were cached."""
        return sum(stage.seconds for stage in self.stages if stage.status != "cached")

    @property
    def passed(self) -> bool:
        """Whether it did not fail and every gate holds (true when no gate was asked for)."""
        return self.error is None and self.judgement.passed

    @property
    def verdict(self) -> Verdict:
        """Fail, or pass when the user has set a gate, or none."""
        return "fail" if self.error is not None else self.judgement.verdict

    @property
    def judgement(self) -> Judgement:
        """The gates with what they judge."""
        return Judgement(self.gates, self.parts)

    def model(self, stage: str) -> ModelRow | None:
        """Return the row of a stage, or None when the chain did not have it."""
        return next((row for row in self.models if row.stage == stage), None)


@dataclass(frozen=True)
class Report:
    """One run: the tools, the recipe as a document, and a report for each target.

    ``baseline`` is the earlier report that the targets' ``changes`` are against, ``family`` what
    the model was recognised to be of. ``next`` is what is worth doing, in the reader's words.
    """

    tool: ToolVersion
    toolkit: ToolVersion
    recipe: Mapping[str, object]
    targets: tuple[TargetReport, ...]
    baseline: EarlierReport | None = None
    family: FamilyFigure | None = None
    next: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no target failed and every gate holds (true when no gate was asked for)."""
        return all(target.passed for target in self.targets)

    @property
    def verdict(self) -> Verdict:
        """Fail when a target does, or pass when the user has set a gate for any, or none."""
        verdicts = [target.verdict for target in self.targets]
        return "fail" if "fail" in verdicts else "pass" if "pass" in verdicts else "none"

    @property
    def failures(self) -> dict[str, RockpressError]:
        """The targets that failed, and why."""
        errors = ((target.target or "", target.error) for target in self.targets)
        return {name: error for name, error in errors if error is not None}
