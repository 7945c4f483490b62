"""The chain for one target: references, prune, quantize, convert, check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ...accuracy.compare import Comparison
from ...accuracy.runners import run_onnxruntime
from ...convert.chips.targets import Target
from ...convert.convert import Conversion
from ...core.diagnostics import Diagnostic
from ...core.graphs.layers import macs_of
from ...core.graphs.model import model_bytes, parameter_count
from ...core.results.layer_rows import LayerTime
from ...core.results.model_figures import ModelRow
from ...core.results.pruning_figures import PruningFigure
from ...core.results.report import TargetReport
from ...core.types import Array
from ...quantize.quantize import QuantizeResult
from ...report.documents.report_reader import metric_details
from ..figures.drift import DriftMeter
from ..figures.figures_of import (
    accuracy_figure,
    changed_samples,
    compiled_row,
    gate_figures,
    latency_figures,
    layer_rows,
    layer_times,
    quantization_figure,
    ratio,
    ratios_of,
    recipe_notices,
    result_notices,
    retention_figure,
)
from ..figures.robustness import robustness_of
from ..recipes.recipe import Recipe
from .artifacts import Making
from .baseline import Baseline, host_latency
from .distilling import distillation_notices
from .manifest_files import write_beside
from .pruning import prunes, pruning_figure
from .quantizing import quantize_notices
from .stage_log import Stages, Step


class Chain:
    """One target's way through the stages: files go to ``folder``, scratch files to ``work``."""

    def __init__(
        self,
        base: Baseline,
        recipe: Recipe,
        target: Target,
        notices: Sequence[Diagnostic],
        folder: Path,
        work: Path,
        stages: Stages,
    ) -> None:
        self._base = base
        self._recipe = recipe
        self._target = target
        self._folder = folder
        self._stages = stages
        self._making = Making(base.ready, base.calib, base.evaluation, recipe, target, folder, work)
        self._rows = [base.row]
        self._drift = DriftMeter(base.outputs)
        self._layers_before: tuple[LayerTime, ...] = ()
        self._notices = list(notices)

    def run(self) -> TargetReport:
        """Go through all stages. Raises what they raise; nothing of it is kept then."""
        self._folder.mkdir(parents=True, exist_ok=True)
        reference = None
        if "float16" in self._target.dtypes:
            reference = self._reference("reference-float16", self._making.reference_float16)
        compared = self._rows[-1] if reference else None
        pruning = self._prune(reference)
        quantized = self._quantize()
        with self._stages.stage("convert") as step:
            conversion = self._making.convert(quantized, step)
        return self._check(conversion, quantized, compared, pruning)

    # -- stages ----------------------------------------------------------------------------

    def _reference(self, name: str, make: Callable[[Step], Conversion]) -> Conversion:
        """The original model compiled to compare with."""
        with self._stages.stage(name) as step:
            conversion = make(step)
        original = self._base.ready.model
        self._rows.append(
            compiled_row(name, conversion, parameter_count(original), macs_of(original))
        )
        self._layers_before = self._layers_before or layer_times(conversion)
        return conversion

    def _prune(self, unpruned: Conversion | None) -> PruningFigure | None:
        """``unpruned`` is the original in float16, where the chip has that."""
        if not prunes(self._recipe):
            self._stages.skip("prune")
            return None
        if self._recipe.in_int8:
            with self._stages.stage("quantize-reference") as step:
                quantized = self._making.quantize_reference(step)
            unpruned = self._reference(
                "reference-int8", partial(self._making.reference_int8, quantized)
            )
        assert unpruned is not None  # require_possible has seen that the chip has float16
        whole = self._rows[-1]
        with self._stages.stage("prune") as step:
            cut = self._making.prune(unpruned, step)
        self._notices.extend(cut.notices)
        result = cut.result
        if self._recipe.recover == "distill":
            with self._stages.stage("distill") as step:
                result = self._making.distil(result, step)
            self._notices.extend(distillation_notices(result.distillation))
        with self._stages.stage("check-pruned") as step:
            row = self._onnx_row("pruned", self._making.path(".pruned.onnx"), step)
        self._rows.append(row)
        return pruning_figure(
            result,
            ratio(cut.compiled.cycles, unpruned.cycles),
            ratio(row.macs, whole.macs),
            # against the folded model: folding BatchNormalization is not what pruning saved
            ratio(row.parameters, whole.parameters),
        )

    def _quantize(self) -> QuantizeResult | None:
        if self._recipe.quantize == "float16":
            self._stages.skip("quantize")
            return None
        assert self._base.calib is not None
        floating = self._making.model
        with self._stages.stage("quantize") as step:
            result = self._making.quantize(step)
            if self._recipe.quantize == "w8a8":
                self._drift.layers(floating, result, self._base.calib, self._recipe.seed, step)
        self._notices.extend(quantize_notices(self._recipe, result))
        with self._stages.stage("check-quantized") as step:
            self._rows.append(self._onnx_row("quantized", result.path, step, optimise=False))
        return result

    def _check(
        self,
        conversion: Conversion,
        quantized: QuantizeResult | None,
        reference: ModelRow | None,
        pruning: PruningFigure | None,
    ) -> TargetReport:
        robustness = robustness_of(
            self._base,
            quantized.path if quantized else self._making.model,
            self._recipe,
            self._stages,
            optimise=quantized is None,
        )
        with self._stages.stage("check"):
            outputs, file = conversion.outputs or [], self._making.path(".rknn")
            comparison = self._compared(outputs)
            self._drift.form("rknn", comparison, outputs)
            row = ModelRow(
                stage="rknn",
                path=f"{self._target.name}/{file.name}",
                bytes=conversion.bytes,
                parameters=parameter_count(self._making.model),
                macs=macs_of(self._making.model),
                latency=latency_figures(conversion),
                accuracy=accuracy_figure(comparison, "rknn-simulator"),
            )
            gates = gate_figures(self._recipe.gates, comparison, row)
            feed = write_beside(
                file,
                conversion,
                self._making.model,
                self._base.evaluation.npu_preprocess,
                quantized,
                self._base.digests(),
            )
        return TargetReport(
            target=self._target.name,
            models=(*self._rows, row),
            retention=retention_figure(comparison),
            examples=changed_samples(comparison, self._base.evaluation),
            details=metric_details(comparison.details),
            ratios=ratios_of(row, reference),
            pruning=pruning,
            quantization=quantization_figure(quantized) if quantized else None,
            layers=layer_rows(conversion),
            reference_layers=self._layers_before,
            robustness=robustness,
            drift=self._drift.rows,
            feed=feed,
            gates=gates,
            warnings=(
                *recipe_notices(self._recipe),
                *self._notices,
                *result_notices(conversion, comparison, self._recipe.gates),
            ),
            stages=self._stages.runs,
        )

    # -- what the stages share -----------------------------------------------------------------

    def _onnx_row(self, stage: str, path: Path, step: Step, *, optimise: bool = True) -> ModelRow:
        """Run an ONNX form of the model on this host; its outputs go into the drift."""
        evaluation = self._base.evaluation
        outputs = run_onnxruntime(
            path,
            evaluation,
            optimise=optimise,
            on_progress=lambda done: step("evaluate", done, len(evaluation)),
        )
        comparison = self._compared(outputs)
        self._drift.form(stage, comparison, outputs)
        return ModelRow(
            stage=stage,
            path=f"{self._target.name}/{path.name}",
            bytes=model_bytes(path),
            parameters=parameter_count(self._making.model),
            macs=macs_of(self._making.model),
            latency=(host_latency(path, evaluation, optimise=optimise),),
            accuracy=accuracy_figure(comparison, "onnxruntime"),
        )

    def _compared(self, outputs: list[Array]) -> Comparison:
        return self._base.compared(outputs, self._recipe.seed)
