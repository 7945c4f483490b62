"""Conversion in the chain, and the result checked where it will run."""

from __future__ import annotations

from dataclasses import replace

from ...accuracy.runners import sample_rows
from ...convert.toolkit.environment import toolkit_version
from ...core.progress import Progress
from ..figures.build_figures import compiled_row
from ..figures.figures_of import gate_figures
from ..figures.robustness import robustness_of
from ..samples.class_names import class_names
from ..tasks.converting import NpuFeeds
from ..tasks.manifest_files import write_manifest_beside
from ..tasks.plan_handover import with_quantized
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
        request = replace(request, simulate=feeds, input_sets=shapes)
        run.conversion = run.convert(request, progress)


class Robustness(Stage):
    """What is left of the metric on worse images."""

    name = "robustness"

    def applies(self, run: TargetRun) -> bool:
        return run.recipe.check.robustness

    def describe(self, run: TargetRun) -> str:
        return "in ONNX Runtime, on images made worse"

    def measure(self, run: TargetRun, figures: TargetFigures, progress: Progress) -> None:
        figures.robustness = robustness_of(
            run.ready.model,
            run.quantized.path if run.quantized else run.model,
            run.evaluation,
            figures.base.scoring,
            run.recipe.run.seed,
            progress,
            optimise=run.quantized is None,
        )


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
        row = compiled_row("rknn", run.shown(file), conversion)
        figures.comparison = figures.add_form(row, outputs, run, "rknn-simulator")
        figures.gates = gate_figures(
            run.recipe.gates, figures.comparison, row, is_at_chance=figures.base.is_at_chance
        )
        preprocess, digests = run.evaluation.npu_preprocess, figures.base.digests()
        figures.feed = write_manifest_beside(
            file,
            conversion,
            run.model,
            preprocess,
            run.quantized,
            digests,
            class_names(run.recipe, run.evaluation.labels),
        )
