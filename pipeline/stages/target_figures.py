"""What the report says of one target, gathered stage by stage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...accuracy.compare import Comparison
from ...accuracy.runners import run_onnxruntime
from ...convert.convert import Conversion
from ...core.diagnostics import Diagnostic
from ...core.graphs.layers import macs_of
from ...core.graphs.model import model_bytes, parameter_count
from ...core.progress import Progress
from ...core.results.layer_rows import Feed, LayerTime
from ...core.results.model_figures import ModelRow
from ...core.results.pruning_figures import PruningFigure
from ...core.results.report import GateFigure, StageRun, TargetReport
from ...core.results.sample_rows import RobustnessRow
from ...report.documents.report_reader import metric_details
from ..figures.drift import DriftMeter
from ..figures.figures_of import (
    accuracy_figure,
    changed_samples,
    compiled_row,
    layer_rows,
    layer_times,
    ratios_of,
    recipe_warnings,
    result_warnings,
    retention_figure,
)
from ..figures.quantization_figure import quantization_figure
from .baseline import Baseline, host_latency
from .target_run import TargetRun


class TargetFigures:
    """The rows of the models so far, the warnings, and the figures of single stages."""

    def __init__(self, base: Baseline, warnings: Sequence[Diagnostic]) -> None:
        self.base = base
        self.rows: list[ModelRow] = [base.row]
        self.warnings = list(warnings)
        self.drift = DriftMeter(base.outputs)
        self.reference: ModelRow | None = None
        self.reference_layers: tuple[LayerTime, ...] = ()
        self.pruning: PruningFigure | None = None
        self.robustness: tuple[RobustnessRow, ...] = ()
        self.comparison: Comparison | None = None
        self.gates: tuple[GateFigure, ...] = ()
        self.feed: Feed | None = None

    def add_compiled(self, name: str, conversion: Conversion) -> None:
        """Add the original model, compiled to compare with."""
        original = self.base.ready.model
        row = compiled_row(name, conversion, parameter_count(original), macs_of(original))
        self.rows.append(row)
        self.reference_layers = self.reference_layers or layer_times(conversion)

    def add_onnx(
        self, name: str, path: Path, run: TargetRun, progress: Progress, *, optimise: bool = True
    ) -> None:
        """Run an ONNX form of the model on this host; its outputs go into the drift."""
        evaluation = run.evaluation
        outputs = run_onnxruntime(path, evaluation, optimise=optimise, progress=progress)
        comparison = self.base.compared(outputs)
        self.drift.form(name, comparison, outputs)
        row = ModelRow(
            stage=name,
            path=f"{run.target.name}/{path.name}",
            bytes=model_bytes(path),
            parameters=parameter_count(run.model),
            macs=macs_of(run.model),
            latency=(host_latency(path, evaluation, optimise=optimise),),
            accuracy=accuracy_figure(comparison, "onnxruntime"),
        )
        self.rows.append(row)


def target_report(
    run: TargetRun, figures: TargetFigures, stages: tuple[StageRun, ...]
) -> TargetReport:
    """Return the report of a target whose stages are finished."""
    conversion, comparison = run.conversion, figures.comparison
    assert conversion is not None and comparison is not None  # the last stages have made them
    return TargetReport(
        target=run.target.name,
        models=tuple(figures.rows),
        retention=retention_figure(comparison),
        examples=changed_samples(comparison, run.evaluation),
        details=metric_details(comparison.details),
        ratios=ratios_of(figures.rows[-1], figures.reference),
        pruning=figures.pruning,
        quantization=quantization_figure(run.quantized) if run.quantized else None,
        layers=layer_rows(conversion),
        reference_layers=figures.reference_layers,
        robustness=figures.robustness,
        drift=figures.drift.rows,
        feed=figures.feed,
        gates=figures.gates,
        warnings=(
            *recipe_warnings(run.recipe.preprocessing),
            *figures.warnings,
            *result_warnings(conversion, comparison, run.recipe.gates),
        ),
        stages=stages,
    )
