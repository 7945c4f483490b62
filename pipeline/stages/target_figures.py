"""What the report says of one target, gathered stage by stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...accuracy.compare import Comparison
from ...accuracy.runners import measure_latency, run_onnxruntime
from ...convert.convert import Conversion
from ...convert.predicted.fused_graph import fused_graph
from ...core.diagnostics import Diagnostic
from ...core.graphs.layers import macs_of
from ...core.graphs.model import model_bytes, parameter_count
from ...core.progress import Progress
from ...core.results.board_comparison import BoardFigure
from ...core.results.layer_rows import Feed, LayerTime
from ...core.results.model_figures import LatencyFigure, ModelRow, QuantizationFigure
from ...core.results.pruning_figures import PruningFigure
from ...core.results.report import GateFigure, StageRun, TargetReport
from ...core.results.sample_rows import AttackRow, RobustnessRow
from ...core.types import Array
from ...report.documents.report_reader import metric_details
from ..figures.build_figures import compiled_row, differing, layer_rows, ratios_of
from ..figures.drift import DriftMeter
from ..figures.figures_of import accuracy_figure, changed_samples, retention_figure
from ..figures.quantization_figure import quantization_figure
from ..figures.result_warnings import result_warnings
from ..tasks.plan_handover import fallback_of
from .baseline import Baseline
from .board_result import BoardResult
from .target_run import TargetRun


class TargetFigures:
    """The rows of the models so far, the warnings, and the figures of single stages."""

    def __init__(self, base: Baseline, warnings: Sequence[Diagnostic]) -> None:
        self.base = base
        self.rows: list[ModelRow] = [base.row]
        self.warnings = list(warnings)
        self.drift = DriftMeter(base.outputs, base.parts)
        self.reference: ModelRow | None = None
        self.reference_layers: tuple[LayerTime, ...] = ()
        self.pruning: PruningFigure | None = None
        self.robustness: tuple[RobustnessRow, ...] = ()
        self.attacks: tuple[AttackRow, ...] = ()
        self.comparison: Comparison | None = None
        self.gates: tuple[GateFigure, ...] = ()
        self.feed: Feed | None = None
        self.board: BoardFigure | None = None
        self.decibels: dict[str, float] = {}  # SQNR of the tensors, with all quantized

    def add_compiled(self, name: str, conversion: Conversion) -> None:
        """Add the original model, compiled to compare with."""
        original = self.base.ready.model
        parameters, macs = parameter_count(original), macs_of(original)
        row = compiled_row(name, None, conversion, conversion.bytes)
        self.rows.append(replace(row, parameters=parameters, macs=macs))
        self.reference_layers = self.reference_layers or tuple(
            LayerTime(layer.name, layer.total_cycles, layer.ms) for layer in layer_rows(conversion)
        )

    def add_onnx(
        self,
        name: str,
        path: Path,
        run: TargetRun,
        progress: Progress,
        *,
        is_quantized: bool = False,
    ) -> None:
        """Run an ONNX form of the model on this host; its outputs go into the drift."""
        evaluation = run.evaluation
        outputs = run_onnxruntime(path, evaluation, keeps_scales=is_quantized, progress=progress)
        milliseconds = measure_latency(path, evaluation, optimise=not is_quantized)
        latency = LatencyFigure("host", milliseconds)
        row = ModelRow(name, run.shown(path), model_bytes(path), latency=(latency,))
        self.add_form(row, outputs, run, "onnxruntime")

    def add_form(
        self, row: ModelRow, outputs: list[Array], run: TargetRun, runner: str
    ) -> Comparison:
        """Add the row of a form with what its outputs give, which go into the drift too."""
        comparison = self.base.compared(outputs)
        self.drift.form(row.stage, comparison, outputs)
        whole = replace(
            row,
            parameters=parameter_count(run.model),
            macs=macs_of(run.model),
            accuracy=accuracy_figure(comparison, runner),
        )
        self.rows.append(whole)
        return comparison

    def add_board(self, result: BoardResult, outputs: list[Array]) -> None:
        """Let what a board gave count instead of the last form's, which the simulator gave."""
        self.drift.form("board", result.comparison, outputs)
        self.rows[-1] = result.row(self.rows[-1])
        self.comparison, self.board = result.comparison, result.figure
        self.warnings.extend(result.warnings)


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
        ratios=ratios_of(figures.rows[-1], figures.reference, differing(conversion)),
        pruning=figures.pruning,
        quantization=_quantization(run, conversion),
        layers=layer_rows(conversion),
        reference_layers=figures.reference_layers,
        graph=fused_graph(run.model, run.target, conversion.layers, figures.decibels),
        robustness=figures.robustness,
        attacks=figures.attacks,
        drift=figures.drift.rows,
        parts=comparison.parts,
        feed=figures.feed,
        gates=figures.gates,
        warnings=(
            *figures.warnings,
            *result_warnings(
                conversion,
                comparison,
                run.recipe.gates,
                figures.rows,
                conversion.warnings,
                pruning=figures.pruning,
                eval_count=run.recipe.samples.eval_count,
                board_differs=figures.board is not None and figures.board.differs,
            ),
        ),
        stages=stages,
        board=figures.board,
    )


def _quantization(run: TargetRun, conversion: Conversion) -> QuantizationFigure | None:
    if run.quantized is None:
        return None
    factor = run.scale.factor if run.scale else 1.0
    fallback = fallback_of(run.quantized.plan, conversion.quantization)
    return quantization_figure(run.quantized, factor, fallback)
