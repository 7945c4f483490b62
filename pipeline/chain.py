"""The chain for one target: references, prune, quantize, convert, check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto

from ..accuracy.compare import Comparison
from ..accuracy.runners import run_onnxruntime
from ..convert.convert import Conversion
from ..convert.targets import Target
from ..core.graph import Array
from ..core.layers import macs_of
from ..core.model import model_bytes, parameter_count, save_model
from ..core.results import ModelRow, Notice, PruningFigure, TargetReport
from ..prune.result import PruneResult
from ..quantize.quantize import QuantizeResult
from . import remembered
from .baseline import Baseline, host_latency
from .carrying import build_options, float_model_of
from .distilling import distillation_notices
from .drift import Drift
from .manifests import write_beside
from .pruning import budget_missed, prunes, pruning_figure, saved_share
from .quantizing import quantize_for_cycles, quantize_notices
from .recipe import Recipe
from .robustness import robustness_of
from .rows import (
    accuracy_figure,
    compiled_row,
    example_documents,
    gate_figures,
    latency_figures,
    layer_costs_of,
    layer_documents,
    quantization_figure,
    ratio,
    ratios_of,
    recipe_notices,
    result_notices,
    retention_figure,
)
from .stages import Stages, Step

# the closed-form cycles and the compiler differ by a few per cent, so a cut may fall short at first
_TRIES = 3


class Chain:
    """One target's way through the stages: files go to ``folder``, scratch files to ``work``."""

    def __init__(
        self,
        base: Baseline,
        recipe: Recipe,
        target: Target,
        notices: Sequence[Notice],
        folder: Path,
        work: Path,
        stages: Stages,
    ) -> None:
        self._base = base
        self._recipe = recipe
        self._target = target
        self._folder = folder
        self._work = work
        self._stages = stages
        self._stem = base.ready.path.stem
        self._rows = [base.row]
        self._model = base.ready.model
        self._drift = Drift(base.outputs)
        self._layers_before: tuple[dict[str, Any], ...] = ()
        self._notices = list(notices)

    def run(self) -> TargetReport:
        """Go through all stages. Raises what they raise; nothing of it is kept then."""
        self._folder.mkdir(parents=True, exist_ok=True)
        floating = self._save(self._base.ready.model, "original")
        reference = None
        if "float16" in self._target.dtypes:
            reference = self._reference("reference-float16", floating, "float16")
        pruning = self._prune(floating)
        quantized = self._quantize()
        final = self._save(self._model, "final")
        conversion = self._convert(quantized, final)
        return self._check(conversion, quantized, reference, pruning)

    # -- stages ----------------------------------------------------------------------------

    def _reference(self, name: str, model: Path, quantization: str) -> ModelRow:
        """The original model compiled to compare with; it is not kept and not simulated."""
        with self._stages.stage(name) as step:
            conversion = self._converted(model, step, quantization=quantization)
        original = self._base.ready.model
        row = compiled_row(name, conversion, parameter_count(original), macs_of(original))
        self._rows.append(row)
        self._layers_before = self._layers_before or layer_costs_of(conversion)
        return row

    def _prune(self, floating: Path) -> PruningFigure | None:
        if not prunes(self._recipe):
            self._stages.skip("prune")
            return None
        unpruned = self._unpruned(floating)
        with self._stages.stage("prune") as step:
            result, pruned = self._pruned_within(unpruned, step)
        if self._recipe.recover == "distill":
            result = self._distilled(result)
        self._model = onnx.load_model(str(self._path(".pruned.onnx")))
        with self._stages.stage("check-pruned") as step:
            self._rows.append(self._onnx_row("pruned", self._path(".pruned.onnx"), step))
        row = self._rows[-1]
        return pruning_figure(
            result,
            ratio(pruned.cycles, unpruned.cycles),
            ratio(row.macs, unpruned.macs),
            # against the folded model: folding BatchNormalization is not what pruning saved
            ratio(row.parameters, unpruned.parameters),
        )

    def _distilled(self, result: PruneResult) -> PruneResult:
        """Train the pruned model in place; its cycles stay what they are."""
        assert self._base.calib is not None
        model, path = self._base.ready.model, self._path(".pruned.onnx")
        with self._stages.stage("distill") as step:
            found = remembered.distilled(self._recipe, model, path, self._base.calib, step)
        self._notices.extend(distillation_notices(found))
        return replace(result, distillation=found)

    def _unpruned(self, floating: Path) -> ModelRow:
        """The original model in the number format of the result, to measure the budget against."""
        if not self._recipe.in_int8:
            return self._rows[-1]
        assert self._base.calib is not None
        with self._stages.stage("quantize-reference") as step:
            path = self._scratch("reference-int8")
            quantize_for_cycles(self._base.ready.model, path, self._base.calib, step)
        return self._reference("reference-int8", path, "auto")

    def _pruned_within(self, unpruned: ModelRow, step: Step) -> tuple[PruneResult, Conversion]:
        """Prune until the compiler too says that the budget holds; and its conversion."""
        assert self._base.calib is not None
        pruning = remembered.Pruned(
            self._base.ready.model, self._base.calib, self._recipe, self._target, step
        )
        if (budget := pruning.budget) is None:
            return pruning.write(self._path(".pruned.onnx")), self._compiled(step)
        share = budget.share
        for _ in range(_TRIES):
            result = pruning.write(self._path(".pruned.onnx"), share)
            compiled = self._compiled(step)
            reached = saved_share(budget, compiled, unpruned)
            if result.attempts or reached is None or reached >= budget.share:
                return result, compiled
            share = min(0.99, share + (budget.share - reached) + 0.01)
        self._notices.append(budget_missed(budget, reached or 0.0))
        return result, compiled

    def _compiled(self, step: Step) -> Conversion:
        """The pruned model compiled in the number format of the result, for its cycles."""
        path = self._path(".pruned.onnx")
        if self._recipe.in_int8:
            assert self._base.calib is not None
            path = self._scratch("pruned-int8")
            model = onnx.load_model(str(self._path(".pruned.onnx")))
            quantize_for_cycles(model, path, self._base.calib, step)
        return self._converted(path, step)

    def _quantize(self) -> QuantizeResult | None:
        if self._recipe.quantize == "float16":
            self._stages.skip("quantize")
            return None
        assert self._base.calib is not None
        outputs = self._path(".intended.onnx"), self._path(".plan.toml")
        with self._stages.stage("quantize") as step:
            result = remembered.quantized(
                self._recipe, self._target, self._model, *outputs, self._base.calib, step
            )
            if self._recipe.quantize == "w8a8":
                self._drift.layers(self._model, result, self._base.calib, self._recipe.seed, step)
        self._model = float_model_of(result, self._model)
        self._notices.extend(quantize_notices(self._recipe, result))
        with self._stages.stage("check-quantized") as step:
            self._rows.append(self._onnx_row("quantized", result.path, step, optimise=False))
        return result

    def _convert(self, quantized: QuantizeResult | None, final: Path) -> Conversion:
        with self._stages.stage("convert") as step:
            model, how = build_options(quantized, final, self._base.calib)
            places = {"output": self._path(".rknn"), "simulate": self._base.evaluation}
            return self._converted(model, step, **places, **how)

    def _check(
        self,
        conversion: Conversion,
        quantized: QuantizeResult | None,
        reference: ModelRow | None,
        pruning: PruningFigure | None,
    ) -> TargetReport:
        robustness = robustness_of(
            self._base,
            quantized.path if quantized else self._model,
            self._recipe,
            self._stages,
            optimise=quantized is None,
        )
        with self._stages.stage("check"):
            outputs = conversion.outputs or []
            comparison = self._compared(outputs)
            self._drift.form("rknn", comparison, outputs)
            row = ModelRow(
                stage="rknn",
                path=f"{self._target.name}/{self._stem}.rknn",
                bytes=conversion.bytes,
                parameters=parameter_count(self._model),
                macs=macs_of(self._model),
                latency=latency_figures(conversion),
                accuracy=accuracy_figure(comparison, "rknn-simulator"),
            )
            gates = gate_figures(self._recipe.gates, comparison, row)
            feed = write_beside(
                self._path(".rknn"),
                conversion,
                self._model,
                self._base.evaluation.npu_preprocess,
                quantized,
                self._base.digests(),
            )
        return TargetReport(
            target=self._target.name,
            models=(*self._rows, row),
            retention=retention_figure(comparison),
            examples=example_documents(comparison, self._base.evaluation),
            details=dict(comparison.details),
            ratios=ratios_of(row, reference),
            pruning=pruning,
            quantization=quantization_figure(quantized) if quantized else None,
            layers=layer_documents(conversion),
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

    def _converted(self, model: Path, step: Step, **options: Any) -> Conversion:
        """Convert for this target with the recipe's limits; options as in remembered.py."""
        options = {"output": None, "how": self._base.evaluation.npu_preprocess, **options}
        return remembered.converted(
            model, target=self._target, recipe=self._recipe, step=step, **options
        )

    def _path(self, suffix: str) -> Path:
        return self._folder / f"{self._stem}{suffix}"

    def _save(self, model: ModelProto, name: str) -> Path:
        path = self._scratch(name)
        save_model(model, path)
        return path

    def _scratch(self, name: str) -> Path:
        """A scratch file under the model's own name, which is what an error will show."""
        return self._work / name / f"{self._stem}.onnx"

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
            parameters=parameter_count(self._model),
            macs=macs_of(self._model),
            latency=(host_latency(path, evaluation, optimise=optimise),),
            accuracy=accuracy_figure(comparison, "onnxruntime"),
        )

    def _compared(self, outputs: list[Array]) -> Comparison:
        return self._base.compared(outputs, self._recipe.seed)
