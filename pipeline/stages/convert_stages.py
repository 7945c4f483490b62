"""Conversion in the chain, and the result checked where it will run."""

from __future__ import annotations

from dataclasses import replace

from ...accuracy.runners import sample_rows
from ...convert.toolkit.environment import toolkit_version
from ...core.progress import Progress
from ..figures.attacks import ComparedModels, attacks_of
from ..figures.build_figures import compiled_row, with_build
from ..figures.figures_of import gate_figures
from ..figures.robustness import robustness_of, robustness_warnings
from ..samples.class_names import class_names
from ..tasks.board_code import write_board_code
from ..tasks.converting import NpuFeeds
from ..tasks.manifest_files import calibration_record, write_manifest_beside
from ..tasks.plan_handover import fallback_of, with_quantized
from ..tasks.quantizing import build_shortfall
from .board_result import board_result
from .cut_notices import with_cut_savings
from .prune_stages import Distil, Prune
from .quantize_stages import Quantize
from .stage import Stage, on_samples
from .target_figures import TargetFigures
from .target_run import TargetRun


class Convert(Stage):
    """Convert what there is now, and simulate it on the samples that all is compared on."""

    name = "convert"
    is_cached = True

    def reads(self, run: TargetRun) -> tuple[str, ...]:
        changing = (Quantize(), Distil(), Prune())
        return next(((stage.name,) for stage in changing if stage.applies(run)), ())

    def describe(self, run: TargetRun) -> str:
        version = toolkit_version(run.recipe.toolkit.toolkit_python)
        return f"rknn-toolkit2 {version}, simulate {on_samples(run)}"

    def make(self, run: TargetRun, progress: Progress) -> None:
        final = run.request(run.saved(run.model, "final"), run.path(".rknn"))
        request = with_quantized(final, run.quantized, run.optional_calib)
        feeds, shapes = NpuFeeds(run.evaluation), run.recipe.shape.input_sets
        level = run.recipe.toolkit.toolkit_level
        request = replace(request, simulate=feeds, input_sets=shapes, level=level)
        run.conversion = run.convert(request, progress)


class Robustness(Stage):
    """What is left of the metric on worse images."""

    name = "robustness"

    def applies(self, run: TargetRun) -> bool:
        return run.recipe.check.robustness

    def describe(self, run: TargetRun) -> str:
        attack = ", and attacked" if run.recipe.check.attack_queries else ""
        return f"in ONNX Runtime, on images made worse{attack}"

    def measure(self, run: TargetRun, figures: TargetFigures, progress: Progress) -> None:
        options, seed, samples = run.recipe.check, run.recipe.run.seed, run.evaluation
        candidate = run.quantized.path if run.quantized else run.model
        scoring, optimise = figures.base.scoring, run.quantized is None
        models = ComparedModels(run.ready.model, candidate, scoring, optimise)
        figures.robustness = robustness_of(models, samples, seed, progress)
        attacked = attacks_of(models, samples, options, seed, progress)
        figures.attacks = attacked.rows
        figures.warnings += (*robustness_warnings(figures.robustness), *attacked.warnings)


class Check(Stage):
    """Compare the simulated outputs with the baseline, and hold them against the gates."""

    name = "check"

    def describe(self, run: TargetRun) -> str:
        return "compare, and hold against the gates"

    def measure(self, run: TargetRun, figures: TargetFigures, progress: Progress) -> None:
        conversion, file = run.conversion, run.path(".rknn")
        if conversion is None:
            return
        figures.warnings[:] = with_cut_savings(figures.warnings, run, conversion)
        outputs = sample_rows(list(conversion.outputs or ()), run.evaluation)
        row = compiled_row("rknn", run.shown(file), conversion, conversion.bytes)
        figures.comparison = figures.add_form(row, outputs, run, "rknn-simulator")
        if run.quantized is not None:
            plan, options = run.quantized.plan, run.recipe.quantize
            fallback = fallback_of(plan, conversion.quantization)
            decibels = figures.comparison.sqnr_db
            figures.warnings.extend(build_shortfall(options, plan, fallback, decibels))
        if figures.pruning is not None and run.unpruned is not None:
            is_mixed = run.quantized is not None and bool(run.quantized.plan.high_precision)
            figures.pruning = with_build(
                figures.pruning, conversion, run.unpruned, is_mixed=is_mixed
            )
        if run.on_board is not None:
            result = board_result(
                figures.base, run.on_board, conversion, outputs, conversion.warnings
            )
            figures.add_board(result, run.on_board.outputs)
        figures.gates = gate_figures(
            run.recipe.gates,
            figures.comparison,
            figures.rows[-1],
            is_at_chance=figures.base.is_at_chance,
        )
        preprocess, digests = run.evaluation.npu_preprocess, figures.base.digests()
        manifest = write_manifest_beside(
            file,
            conversion,
            run.model,
            preprocess,
            run.quantized,
            digests,
            class_names(run.recipe, run.evaluation.labels),
            figures.base.scoring,
            calibration_record(run.optional_calib, run.recipe.run.seed),
        )
        figures.feed = manifest.feed
        write_board_code(file, manifest)
