"""Quantization in the chain, and the quantized model checked."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from pathlib import Path

from ...core.progress import Progress
from ...quantize.quantize import QuantizeResult
from ..samples.ready_model import logits_at_end
from ..tasks.converting import toolkit_settings
from ..tasks.explain import errors_of
from ..tasks.plan_handover import float_model_of
from ..tasks.quantization_training import is_trained
from ..tasks.quantizing import quantize_as, quantize_task, quantize_warnings
from .prune_stages import Distil, Prune
from .stage import Stage, on_samples, with_calibration
from .target_figures import TargetFigures
from .target_run import MODEL, PLAN, TargetRun


class Quantize(Stage):
    """Quantize the model as the stages before have left it; name the layers that lose most."""

    name = "quantize"
    is_cached = True
    is_listed = True

    def applies(self, run: TargetRun) -> bool:
        return run.recipe.quantizes

    def reads(self, run: TargetRun) -> tuple[str, ...]:
        pruning = (Distil(), Prune())
        return next(((stage.name,) for stage in pruning if stage.applies(run)), ())

    def describe(self, run: TargetRun) -> str:
        options = run.recipe.quantize
        number_format = (
            f"{options.scheme}, method {options.method}, mixed precision {options.mixed}"
        )
        training = f", trained for {options.train_steps} steps" if is_trained(options) else ""
        return f"{number_format}{training}, {with_calibration(run)}"

    def make(self, run: TargetRun, progress: Progress) -> None:
        output, plan = run.path(".intended.onnx"), run.path(".plan.toml")
        logits = logits_at_end(run.ready, run.recipe.shape)
        task = quantize_task(run.model, run.calib, run.recipe, run.target, logits)

        def compute(folder: Path) -> QuantizeResult:
            toolkit = toolkit_settings(run.recipe.toolkit)
            cache = run.recipe.cache
            return quantize_as(task, folder / MODEL, folder / PLAN, progress, toolkit, cache)

        result = run.tasks.run("quantize", task, compute, {MODEL: output, PLAN: plan})
        run.quantized = replace(result, path=output, plan_path=plan)
        run.float_model = run.model
        run.model = float_model_of(run.quantized, run.model)

    def measure(self, run: TargetRun, figures: TargetFigures, progress: Progress) -> None:
        if run.quantized is None:
            return
        if run.recipe.in_int8:  # only that has such a report
            model, seed = run.float_model, run.recipe.run.seed
            # none alone in no time: how many tensors could be measured so depends on the machine
            errors = errors_of(model, run.quantized, run.calib, seed, progress, seconds=0)
            figures.drift.layers(model, errors)
            figures.decibels = {
                error.name: error.accumulated_db
                for error in errors
                if error.kind == "activation" and isfinite(error.accumulated_db)
            }
        warnings = quantize_warnings(run.recipe.quantize, run.quantized, run.calib)
        figures.warnings.extend(warnings)


class CheckQuantized(Stage):
    """The quantized model in ONNX Runtime, as it is meant to be computed."""

    name = "check-quantized"

    def applies(self, run: TargetRun) -> bool:
        return run.recipe.quantizes

    def describe(self, run: TargetRun) -> str:
        return f"in ONNX Runtime {on_samples(run)}"

    def measure(self, run: TargetRun, figures: TargetFigures, progress: Progress) -> None:
        if run.quantized is not None:
            figures.add_onnx("quantized", run.quantized.path, run, progress, is_quantized=True)
