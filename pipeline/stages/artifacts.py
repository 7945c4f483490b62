"""What the stages of one target write, each taken from the cache where it is there.

Nothing is measured here, so that a dry run can go the same way through a cache that only looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto

from ...calibration_data.samples import Samples
from ...convert.chips.targets import Target
from ...convert.convert import Conversion
from ...core.diagnostics import Diagnostic
from ...core.graphs.model import save_model
from ...prune.results.prune_result import PruneResult
from ...quantize.quantize import QuantizeResult
from ..caching import cached_stages as remembered
from ..recipes.recipe import Recipe
from ..samples.ready_model import ReadyModel
from .plan_handover import build_options, float_model_of
from .pruning import budget_missed, saved_share
from .stage_log import Step

# the closed-form cycles and the compiler differ by a few per cent, so a cut may fall short at first
_TRIES = 3


@dataclass(frozen=True)
class Cut:
    """A pruned model, what the compiler says of it, and what there is to be warned of."""

    result: PruneResult
    compiled: Conversion
    notices: Sequence[Diagnostic] = ()


class Making:
    """One target's files: those to keep go to ``folder``, scratch files to ``work``.

    ``model`` is the float model as the stages so far have left it. They are called in the order
    of the chain, each at most once.
    """

    def __init__(
        self,
        ready: ReadyModel,
        calib: Samples | None,
        evaluation: Samples,
        recipe: Recipe,
        target: Target,
        folder: Path,
        work: Path,
    ) -> None:
        self.model = ready.model
        self._original = ready.model
        self._stem = ready.path.stem
        self._maybe_calib = calib
        self._evaluation = evaluation
        self._recipe = recipe
        self._target = target
        self._folder = folder
        self._work = work

    def path(self, suffix: str) -> Path:
        """A file to keep, such as the one with .rknn."""
        return self._folder / f"{self._stem}{suffix}"

    def reference_float16(self, step: Step) -> Conversion:
        """The original compiled to compare with; it is not kept and not simulated."""
        return self._converted(
            self._saved(self._original, "original"), step, quantization="float16"
        )

    def quantize_reference(self, step: Step) -> Path:
        """The original in int8, the quickest way: for its cycles."""
        path = self._scratch("reference-int8")
        remembered.quantized_for_cycles(self._recipe, self._original, path, self._calib, step)
        return path

    def reference_int8(self, quantized: Path, step: Step) -> Conversion:
        """That compiled, to measure a budget against."""
        return self._converted(quantized, step)

    def prune(self, unpruned: Conversion, step: Step) -> Cut:
        """Prune until the compiler too says that the budget holds."""
        output = self.path(".pruned.onnx")
        pruning = remembered.Pruned(self._original, self._calib, self._recipe, self._target, step)
        if (budget := pruning.budget) is None:
            return self._cut(pruning.write(output), step)
        share = budget.share
        for _ in range(_TRIES):
            cut = self._cut(pruning.write(output, share), step)
            reached = saved_share(budget, cut.compiled, unpruned)
            if cut.result.attempts or reached is None or reached >= budget.share:
                return cut
            share = min(0.99, share + (budget.share - reached) + 0.01)
        return replace(cut, notices=[budget_missed(budget, reached or 0.0)])

    def distil(self, result: PruneResult, step: Step) -> PruneResult:
        """Train the pruned model in place; its cycles stay what they are."""
        path = self.path(".pruned.onnx")
        found = remembered.distilled(self._recipe, self._original, path, self._calib, step)
        self.model = onnx.load_model(str(path))
        return replace(result, distillation=found)

    def quantize(self, step: Step) -> QuantizeResult:
        """Quantize the model as it now is; ``model`` is then what the toolkit may be given."""
        outputs = self.path(".intended.onnx"), self.path(".plan.toml")
        result = remembered.quantized(
            self._recipe, self._target, self.model, *outputs, self._calib, step
        )
        self.model = float_model_of(result, self.model)
        return result

    def convert(self, quantized: QuantizeResult | None, step: Step) -> Conversion:
        """Convert what there is now, and simulate it on the samples that all is compared on."""
        final = self._saved(self.model, "final")
        file, how = build_options(quantized, final, self._maybe_calib)
        how = {**how, "output": self.path(".rknn"), "simulate": self._evaluation}
        return self._converted(file, step, **how)

    @property
    def _calib(self) -> Samples:
        assert self._maybe_calib is not None  # Recipe.require_samples has seen to it
        return self._maybe_calib

    def _cut(self, result: PruneResult, step: Step) -> Cut:
        """With the pruned model compiled in the number format of the final one."""
        path = self.path(".pruned.onnx")
        self.model = onnx.load_model(str(path))
        if self._recipe.in_int8:
            path = self._scratch("pruned-int8")
            remembered.quantized_for_cycles(self._recipe, self.model, path, self._calib, step)
        return Cut(result, self._converted(path, step))

    def _converted(self, model: Path, step: Step, **options: Any) -> Conversion:
        """Convert for this target with the recipe's limits; options as in remembered.py."""
        options = {"output": None, "how": self._evaluation.npu_preprocess, **options}
        return remembered.converted(
            model, target=self._target, recipe=self._recipe, step=step, **options
        )

    def _saved(self, model: ModelProto, name: str) -> Path:
        path = self._scratch(name)
        save_model(model, path)
        return path

    def _scratch(self, name: str) -> Path:
        """A scratch file under the model's own name, which is what an error will show."""
        return self._work / name / f"{self._stem}.onnx"
