"""The original model compiled, which results and budgets are measured against."""

from __future__ import annotations

from dataclasses import replace

from ...core.progress import Progress
from ..tasks.pruning_options import prunes
from .stage import Stage
from .target_figures import TargetFigures
from .target_run import TargetRun


class ReferenceFloat16(Stage):
    """The original in float16, where the chip has that; it is not kept and not simulated."""

    name = "reference-float16"
    is_cached = True

    def applies(self, run: TargetRun) -> bool:
        return "float16" in run.target.dtypes

    def describe(self, run: TargetRun) -> str:
        return "compile the original, to compare with"

    def make(self, run: TargetRun, progress: Progress) -> None:
        request = run.request(run.saved(run.ready.model, "original"))
        run.unpruned = run.convert(replace(request, quantization="float16"), progress)

    def measure(self, run: TargetRun, figures: TargetFigures, progress: Progress) -> None:
        if run.unpruned is not None:
            figures.add_compiled(self.name, run.unpruned)
            figures.reference = figures.rows[-1]


class QuantizeReference(Stage):
    """The original in int8, the quickest way: for its cycles."""

    name = "quantize-reference"
    is_cached = True

    def applies(self, run: TargetRun) -> bool:
        return prunes(run.recipe.prune) and run.recipe.in_int8

    def describe(self, run: TargetRun) -> str:
        return "the original in int8"

    def make(self, run: TargetRun, progress: Progress) -> None:
        run.reference_int8 = run.scratch("reference-int8")
        run.quantize_for_cycles(run.ready.model, run.reference_int8, progress)


class ReferenceInt8(QuantizeReference):
    """That compiled, to measure a budget against."""

    name = "reference-int8"

    def reads(self, run: TargetRun) -> tuple[str, ...]:
        return (QuantizeReference.name,)

    def describe(self, run: TargetRun) -> str:
        return "compile that, for the budget"

    def make(self, run: TargetRun, progress: Progress) -> None:
        if run.reference_int8 is not None:
            original = run.saved(run.ready.model, "original")
            request = run.int8_request(run.reference_int8, original)
            run.unpruned = run.convert(request, progress)

    def measure(self, run: TargetRun, figures: TargetFigures, progress: Progress) -> None:
        if run.unpruned is not None:
            figures.add_compiled(self.name, run.unpruned)
