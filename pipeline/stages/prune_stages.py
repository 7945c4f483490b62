"""Pruning in the chain: to a budget that the compiler confirms, distilled if asked for, checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import onnx

from ...convert.convert import Conversion
from ...core.diagnostics import Diagnostic, option
from ...core.progress import Progress
from ...core.results.pruning_figures import Distillation, UnseenFigure
from ...prune.results.budget import Budget
from ...prune.results.prune_result import PruneResult
from ..figures.build_figures import pruning_figure, ratio
from ..samples.ready_model import logits_at_end
from ..tasks.distilling import distil_pruned, distil_task, distillation_warnings
from ..tasks.pruning import Pruning, prune_task, pruning_warnings
from ..tasks.pruning_options import budget_of, distils, prunes
from .stage import Stage, on_samples, with_calibration
from .target_figures import TargetFigures
from .target_run import MODEL, PrunedModel, TargetRun

_PRUNED = ".pruned.onnx"
# the closed-form cycles and the compiler differ by a few per cent, so a cut may fall short at first
_TRIES = 3


class Prune(Stage):
    """Prune, and with more where the compiler saves less than was asked for, until it agrees."""

    name = "prune"
    is_cached = True
    is_listed = True

    def applies(self, run: TargetRun) -> bool:
        return prunes(run.recipe.prune)

    def reads(self, run: TargetRun) -> tuple[str, ...]:
        return ("reference-int8" if run.recipe.in_int8 else "reference-float16",)

    def describe(self, run: TargetRun) -> str:
        options = run.recipe.prune
        budget = f"{options.prune}, " if options.prune else ""
        budget += f"{options.sparsity} sparse, " if options.sparsity else ""
        drop = "" if options.max_drop is None else f"lose at most {options.max_drop:.1%}, "
        return f"{budget}{drop}recover by {options.recover}, {with_calibration(run)}"

    def make(self, run: TargetRun, progress: Progress) -> None:
        logits = logits_at_end(run.ready, run.recipe.shape)
        task = prune_task(run.ready.model, run.calib, run.recipe, run.target, logits)
        pruning = cache(lambda: Pruning(task, progress))  # scored once, and only where it is cut

        def prune_to(share: float | None) -> PrunedModel:
            def compute(folder: Path) -> PruneResult:
                result, _ = pruning().write(folder / MODEL, share)
                return result

            output = run.path(_PRUNED)
            result = run.tasks.run("prune", replace(task, share=share), compute, {MODEL: output})
            return _compiled(run, replace(result, path=output), progress)

        budget = budget_of(run.recipe.prune)
        run.pruned = (
            prune_to(None) if budget is None else _confirmed(prune_to, budget, run.unpruned)
        )

    def measure(self, run: TargetRun, figures: TargetFigures, progress: Progress) -> None:
        if run.pruned is None:
            return
        figures.warnings.extend((*run.pruned.warnings, *pruning_warnings(run.calib)))
        unseen = run.pruned.result.unseen
        if run.recipe.samples.eval is None and unseen is not None:
            figures.warnings.append(_seen_warning(unseen))


class Distil(Stage):
    """Train the pruned model in place; its cycles stay what they are."""

    name = "distill"
    is_cached = True

    def applies(self, run: TargetRun) -> bool:
        return distils(run.recipe.prune)

    def reads(self, run: TargetRun) -> tuple[str, ...]:
        return (Prune.name,)

    def describe(self, run: TargetRun) -> str:
        options = run.recipe.distil
        seconds = "" if options.recover_time is None else f", {options.recover_time:.0f} s at most"
        return f"train for {options.recover_steps} steps{seconds}"

    def make(self, run: TargetRun, progress: Progress) -> None:
        path = run.path(_PRUNED)
        task = distil_task(run.ready.model, path, run.calib, run.recipe)

        def compute(folder: Path) -> Distillation:
            return distil_pruned(task, folder / MODEL, run.recipe.cache, progress)

        distillation = run.tasks.run("distill", task, compute, {MODEL: path})
        run.model = onnx.load_model(str(path))
        if run.pruned is not None:
            result = replace(run.pruned.result, distillation=distillation)
            run.pruned = replace(run.pruned, result=result)

    def measure(self, run: TargetRun, figures: TargetFigures, progress: Progress) -> None:
        if run.pruned is not None:
            figures.warnings.extend(distillation_warnings(run.pruned.result.distillation))


class CheckPruned(Stage):
    """The pruned model in ONNX Runtime, and what pruning saved of its weights and operations."""

    name = "check-pruned"

    def applies(self, run: TargetRun) -> bool:
        return prunes(run.recipe.prune)

    def describe(self, run: TargetRun) -> str:
        return f"in ONNX Runtime {on_samples(run)}"

    def measure(self, run: TargetRun, figures: TargetFigures, progress: Progress) -> None:
        whole, pruned = figures.rows[-1], run.pruned
        figures.add_onnx("pruned", run.path(_PRUNED), run, progress)
        row = figures.rows[-1]
        if pruned is not None:
            figures.pruning = pruning_figure(
                pruned.result,
                ratio(row.macs, whole.macs),
                # against the folded model: folding BatchNormalization is not what pruning saved
                ratio(row.parameters, whole.parameters),
            )


def _seen_warning(unseen: UnseenFigure) -> Diagnostic:
    """Return the warning that the result is compared on what the pruned model was repaired with."""
    return Diagnostic(
        "calibration-overlap",
        "compared on the calibration samples, which pruning was repaired with: on "
        f"{unseen.samples} held-out samples it has {unseen.sqnr_db:.1f} dB before int8",
        f"measure on other samples with {option('eval')}",
    )


def _confirmed(
    prune_to: Callable[[float | None], PrunedModel], budget: Budget, unpruned: Conversion | None
) -> PrunedModel:
    """Return the pruned model that the compiler confirms, or the last one with a warning."""
    share, reached = budget.share, None
    for _ in range(_TRIES):
        tried = prune_to(share)
        reached = _saved_share(budget, tried.compiled, unpruned) if unpruned else None
        if tried.result.attempts or reached is None or reached >= budget.share:
            return tried
        share = min(0.99, share + (budget.share - reached) + 0.01)
    text = (
        f"the compiler says {-(reached or 0.0):.1%} {budget.kind}; {-budget.share:.1%} were "
        "asked for"
    )
    warning = Diagnostic("pruning-budget", text, "ask for a larger budget")
    return replace(tried, warnings=(warning,))


def _compiled(run: TargetRun, result: PruneResult, progress: Progress) -> PrunedModel:
    """Return the pruned model with that compiled in the number format of the final one."""
    path = run.path(_PRUNED)
    run.model = onnx.load_model(str(path))
    request = run.request(path)
    if run.recipe.in_int8:
        quantized = run.scratch("pruned-int8")
        run.quantize_for_cycles(run.model, quantized, progress)
        request = run.int8_request(quantized, path)
    return PrunedModel(result, run.convert(request, progress))


def _saved_share(budget: Budget, compiled: Conversion, unpruned: Conversion) -> float | None:
    """Return what the compiler says is saved; None for a budget that it does not measure."""
    if budget.kind == "cycles":
        return 1 - (ratio(compiled.cycles, unpruned.cycles) or 1.0)
    if budget.kind == "latency":
        after, before = (
            conversion.latency.ms if conversion.latency else None
            for conversion in (compiled, unpruned)
        )
        return 1 - (ratio(after, before) or 1.0)
    return None
