"""One target's way through the stages: what they are given, and what they leave to later ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from onnx import ModelProto

from ...calibration_data.samples import Samples
from ...convert.chips.targets import Target
from ...convert.convert import Conversion, convert, with_scale
from ...convert.request import ConversionRequest
from ...core.diagnostics import Diagnostic
from ...core.graphs.model import save_model
from ...core.progress import Progress
from ...core.results.model_figures import LatencyScale
from ...prune.results.prune_result import PruneResult
from ...quantize.quantize import QuantizeResult, quantize
from ..caching.cached_tasks import TaskCache
from ..recipes.recipe import Recipe
from ..samples.ready_model import ReadyModel, require_calibration
from ..tasks.board_run import BoardRun
from ..tasks.converting import NpuFeeds, conversion_request
from ..tasks.hybrid_mixing import without_hybrid_mixing

MODEL, PLAN, RKNN = "model.onnx", "plan.toml", "model.rknn"


@dataclass(frozen=True)
class PrunedModel:
    """What pruning gave, that compiled in the final number format, and what to warn of."""

    result: PruneResult
    compiled: Conversion
    warnings: tuple[Diagnostic, ...] = ()


@dataclass
class TargetRun:
    """Files to keep go to ``folder``, scratch files to ``work``.

    ``model`` is the float model as the stages so far have left it, ``float_model`` the one that was
    quantized. ``unpruned`` is the original compiled, in the number format that a budget is against.
    ``scale`` is that of the estimates, where a board was measured.
    The others are None until the stage that makes them has run.
    """

    ready: ReadyModel
    optional_calib: Samples | None
    evaluation: Samples
    recipe: Recipe
    target: Target
    folder: Path
    work: Path
    scale: LatencyScale | None = None

    def __post_init__(self) -> None:
        self.recipe = without_hybrid_mixing(self.recipe, self.target)
        self.model: ModelProto = self.ready.model
        self.float_model: ModelProto = self.ready.model
        self.unpruned: Conversion | None = None
        self.reference_int8: Path | None = None
        self.pruned: PrunedModel | None = None
        self.quantized: QuantizeResult | None = None
        self.conversion: Conversion | None = None
        self.on_board: BoardRun | None = None
        self.tasks = TaskCache(self.recipe.stage_cache)

    @property
    def calib(self) -> Samples:
        """Return the calibration samples. Raises OptionError where there are none."""
        return require_calibration(self.optional_calib, "the stage")

    def path(self, suffix: str) -> Path:
        """Return a file to keep, such as the one with .rknn."""
        return self.folder / f"{self.ready.path.stem}{suffix}"

    def shown(self, file: Path) -> str:
        """Return a file to keep as the report names it."""
        return f"{self.target.name}/{file.name}"

    def scratch(self, name: str) -> Path:
        """Return a scratch file under the model's own name, which is what an error will show."""
        return self.work / name / f"{self.ready.path.stem}.onnx"

    def saved(self, model: ModelProto, name: str) -> Path:
        """Write a model to a scratch file and return that."""
        path = self.scratch(name)
        save_model(model, path)
        return path

    def request(self, model: Path, output: Path | None = None) -> ConversionRequest:
        """Return the request to convert a file for this target, as the samples feed it."""
        preprocess = self.evaluation.npu_preprocess
        request = conversion_request(self.recipe.toolkit, model, output, self.target, preprocess)
        return replace(request, rknn_batch_size=self.recipe.convert.rknn_batch_size)

    def int8_request(self, quantized: Path, float_model: Path) -> ConversionRequest:
        """Return the request to convert a quantized file, by the same ways as the final one.

        Where the compiler crashes on it, that is the float model it was made of, with the samples.
        """
        request = self.request(quantized)
        return replace(request, calibration=NpuFeeds(self.calib), float_model=float_model)

    def convert(self, request: ConversionRequest, progress: Progress) -> Conversion:
        """Convert, or take the file and the result from the cache."""

        def compute(folder: Path) -> Conversion:
            output = None if request.output is None else folder / RKNN
            return replace(convert(replace(request, output=output), progress), path=None)

        result = self.tasks.run("convert", request, compute, {RKNN: request.output})
        return with_scale(replace(result, path=request.output), self.scale)

    def quantize_for_cycles(self, model: ModelProto, output: Path, progress: Progress) -> None:
        """Quantize in the quickest way, as cycles do not depend on it; maybe from the cache."""
        task = CyclesTask(model, self.calib, self.target.wide_in_qdq)

        def compute(folder: Path) -> None:
            output, plan = folder / MODEL, folder / PLAN
            calib, wide = task.calib, task.wide
            quantize(
                model,
                output,
                plan,
                calib,
                method="min-max",
                wide=wide,
                has_float16=wide is not None,
                progress=progress,
            )

        self.tasks.run("quantize-for-cycles", task, compute, {MODEL: output})


@dataclass(frozen=True)
class CyclesTask:
    """What decides the cycles of a quantized model; ``wide`` see quantize.quantize."""

    model: ModelProto
    calib: Samples
    wide: str | None
