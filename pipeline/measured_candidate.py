"""A candidate that was run over the samples where it will run: ONNX Runtime, simulator, board."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from onnx import ModelProto

from ..accuracy.runners import run_onnxruntime, sample_rows
from ..calibration_data.samples import Samples
from ..convert.chips.targets import find_target
from ..convert.compiled_model import CompiledModel
from ..convert.convert import convert
from ..convert.predicted.fused_graph import fused_graph
from ..core.diagnostics import Diagnostic, option
from ..core.graphs.model import is_qdq, load_model
from ..core.progress import Progress
from ..core.results.graph_rows import GraphNode
from ..core.results.model_figures import ModelRow
from ..core.types import Array
from .figures.build_figures import compiled_row
from .measured_scales import MeasuredModels
from .rebuilding import Rebuildable, version_warnings
from .recipes.recipe import Recipe
from .samples.ready_model import ReadyModel
from .stages.baseline import Baseline, onnx_row
from .stages.board_result import BoardResult, board_result
from .tasks.board_run import BoardRun
from .tasks.converting import NpuFeeds


@dataclass(frozen=True)
class MeasuredCandidate:
    """Its row without an accuracy, and its outputs (N, ...), None where nothing was simulated.

    ``computed`` is what ONNX Runtime can run of it, ``built`` the ``.rknn`` it is, or was built
    again as, None for an ONNX model; ``warnings`` are those of the build.
    """

    row: ModelRow
    outputs: list[Array] | None
    computed: Path | ModelProto
    quantized: bool
    built: CompiledModel | None = None
    warnings: tuple[Diagnostic, ...] = field(default=())

    def graph(self) -> tuple[GraphNode, ...]:
        """Return what became one layer, where something was built from a file."""
        if self.built is None or not isinstance(self.computed, Path):
            return ()
        target = find_target(self.built.target)
        return fused_graph(load_model(self.computed), target, self.built.layers, {})

    def beside(self, run: BoardRun, base: Baseline) -> BoardResult:
        """Return what a board gave for it, beside what the simulator did."""
        assert self.built is not None  # an ONNX model is not run on a board
        return board_result(base, run, self.built, self.outputs, self.warnings)


def run_onnx(ready: ReadyModel, samples: Samples, progress: Progress) -> MeasuredCandidate:
    """Run an ONNX model in ONNX Runtime; one that is quantized is not optimised."""
    quantized = is_qdq(ready.model)
    outputs = run_onnxruntime(ready.model, samples, optimise=not quantized, progress=progress)
    name = "quantized" if quantized else "candidate"
    row = onnx_row(name, ready, samples, optimise=not quantized)
    return MeasuredCandidate(row, outputs, ready.model, quantized)


def simulate(
    candidate: Path,
    opened: Rebuildable,
    calib: Samples | None,
    evaluation: Samples,
    recipe: Recipe,
    timed: MeasuredModels,
    progress: Progress,
) -> MeasuredCandidate:
    """Build a ``.rknn`` again and run it in the simulator. Raises RockpressError."""
    request = opened.request(recipe.toolkit, evaluation.npu_preprocess, calib, NpuFeeds(evaluation))
    conversion = timed.applied(convert(request, progress), candidate)
    warnings = (*version_warnings(opened.manifest, conversion), *conversion.warnings)
    row = compiled_row("rknn", str(candidate), conversion, candidate.stat().st_size)
    outputs = sample_rows(list(conversion.outputs or ()), evaluation)
    return MeasuredCandidate(
        row,
        outputs,
        opened.source,
        opened.is_quantized,
        replace(conversion, outputs=None),
        warnings,
    )


def as_built(candidate: Path, opened: Rebuildable, timed: MeasuredModels) -> MeasuredCandidate:
    """Return what a manifest says of a ``.rknn``, with nothing simulated, for a board alone."""
    built: CompiledModel = opened.manifest
    if timed.scales:
        built = replace(built, latency=timed.estimate(candidate, built))
    row = compiled_row("rknn", str(candidate), built, candidate.stat().st_size)
    warning = Diagnostic(
        "board-alone",
        "rknn-toolkit2 is not installed here, so nothing was simulated: the figures are the "
        "board's alone",
        f"see rockpress doctor, or name another environment with {option('toolkit-python')}",
    )
    return MeasuredCandidate(row, None, opened.source, opened.is_quantized, built, (warning,))
