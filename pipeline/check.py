"""Compare any candidate with its baseline on the same samples, where the candidate will run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from onnx import ModelProto

from ..accuracy.runners import run_onnxruntime, sample_rows
from ..calibration_data.samples import Samples
from ..convert.chips.targets import find_target
from ..convert.convert import Conversion, convert, with_scale
from ..convert.predicted.fused_graph import fused_graph
from ..convert.toolkit.environment import toolkit_version
from ..core.diagnostics import option
from ..core.errors import OptionError
from ..core.graphs.model import is_qdq, load_model, require_model_file
from ..core.progress import SILENT, Progress
from ..core.results.graph_rows import GraphNode
from ..core.results.model_figures import LatencyScale, ModelRow, Ratios
from ..core.results.report import Report, TargetReport, ToolVersion
from ..core.results.sample_rows import RobustnessRow
from ..core.types import Array
from ..core.version import rockpress_version
from ..report.documents.report_reader import metric_details
from .candidate_feeds import (
    require_same_calibration,
    require_same_feed,
    require_same_inputs,
)
from .figures.build_figures import compiled_row, layer_rows, ratios_of
from .figures.figures_of import (
    accuracy_figure,
    changed_samples,
    gate_figures,
    retention_figure,
)
from .figures.last_release import open_last_release, require_comparable, with_changes
from .figures.result_warnings import result_warnings
from .figures.robustness import robustness_of
from .filled_recipe import fill_recipe
from .inputs import open_both
from .measured_scales import measured_scales
from .rebuilding import Rebuildable, open_rebuildable, version_warnings
from .recipes.recipe import Recipe, recipe_document
from .requirements import require_latency, require_measurable
from .run import rendered
from .samples.input_sets import require_one_shape
from .samples.ready_model import ReadyModel, ready_candidate, ready_model
from .stages.baseline import measure_baseline, onnx_row
from .stages.stage_log import StageLog
from .tasks.converting import NpuFeeds


@dataclass(frozen=True)
class _Measured:
    row: ModelRow
    outputs: list[Array]
    computed: Path | ModelProto  # what ONNX Runtime can run of it
    quantized: bool
    conversion: Conversion | None = None


def check(recipe: Recipe, candidate: Path, progress: Progress = SILENT) -> Report:
    """Compare ``candidate`` (ONNX, QDQ ONNX or ``.rknn``) with ``recipe.model``.

    A ``.rknn`` is built again from the files that its manifest names, since the file alone cannot
    be simulated. Raises RockpressError, naming a file that is missing or has changed.
    """
    require_one_shape(recipe.shape, "check")
    require_model_file(recipe.model)
    filled = fill_recipe(recipe, "check", progress)
    recipe = filled.recipe
    require_measurable(recipe)
    last = open_last_release(recipe)
    ready = ready_model(recipe.model, recipe.shape)
    calib, evaluation = open_both(ready, recipe)
    opened = _open_candidate(candidate, calib, evaluation, recipe)
    target = opened.manifest.target if isinstance(opened, Rebuildable) else None
    scale = _scale(recipe, target, progress)
    require_comparable(last, recipe, [target])
    _require_runnable(recipe, opened)
    log = StageLog(progress)
    base = measure_baseline(ready, calib, evaluation, recipe, log)
    with log.stage("candidate"):
        if isinstance(opened, Rebuildable):
            measured = _simulated(candidate, opened, calib, evaluation, recipe, scale, progress)
        else:
            measured = _run_onnx(opened, evaluation, progress)
    robustness: tuple[RobustnessRow, ...] = ()
    if recipe.check.robustness:
        with log.stage("robustness"):
            robustness = robustness_of(
                ready.model,
                measured.computed,
                evaluation,
                base.scoring,
                recipe.run.seed,
                progress,
                optimise=not measured.quantized,
            )
    comparison = base.compared(measured.outputs)
    runner = "onnxruntime" if target is None else "rknn-simulator"
    row = replace(measured.row, accuracy=accuracy_figure(comparison, runner))
    report = TargetReport(
        target=target,
        models=(base.row, row),
        retention=retention_figure(comparison),
        examples=changed_samples(comparison, evaluation),
        details=metric_details(comparison.details),
        ratios=_ratios(row, base.row) if target is None else ratios_of(row, None),
        pruning=None,
        robustness=robustness,
        parts=comparison.parts,
        layers=layer_rows(measured.conversion) if measured.conversion else (),
        graph=_graph(measured),
        gates=gate_figures(recipe.gates, comparison, row, is_at_chance=base.is_at_chance),
        warnings=(
            *base.warnings,
            *result_warnings(measured.conversion, comparison, recipe.gates),
        ),
        stages=log.runs,
    )
    toolkit = ToolVersion("rknn-toolkit2", toolkit_version(recipe.toolkit.toolkit_python))
    tool = ToolVersion("rockpress", rockpress_version())
    whole = Report(tool, toolkit, recipe_document(recipe), (report,), family=filled.family)
    return rendered(with_changes(whole, recipe, last))


def _open_candidate(
    candidate: Path, calib: Samples | None, evaluation: Samples, recipe: Recipe
) -> ReadyModel | Rebuildable:
    """Find out before anything runs whether the candidate can be compared."""
    if candidate.suffix.lower() != ".rknn":
        ready = ready_candidate(candidate, recipe.shape)
        require_same_inputs(candidate, tuple(ready.inputs), evaluation)
        return ready
    opened = open_rebuildable(candidate, recipe.toolkit)
    manifest = opened.manifest
    require_same_inputs(candidate, tuple(feed.name for feed in manifest.inputs), evaluation)
    require_same_feed(manifest, evaluation, candidate)
    if not opened.is_own:
        require_same_calibration(manifest, calib, candidate)
    return opened


def _scale(recipe: Recipe, target: str | None, progress: Progress) -> LatencyScale | None:
    """Return the scale of the chip's estimates, None without. Raises RockpressError.

    OptionError among them where there is no estimate to scale, or none to hold against a limit.
    """
    measured = recipe.latency.measured
    if target is None:
        if measured:
            raise OptionError(
                f"{option('measured', measured[0])} scales the estimate of a .rknn, and the "
                "candidate is an ONNX model",
                "give the .rknn, or leave it out",
            )
        return None
    chip = find_target(target)
    scale = measured_scales(recipe, [chip], progress).get(target)
    require_latency(chip, recipe.gates.max_latency_ms, scale)
    return scale


def _require_runnable(recipe: Recipe, opened: ReadyModel | Rebuildable) -> None:
    """Raise OptionError where ONNX Runtime, which robustness is measured in, cannot run it."""
    if not recipe.check.robustness or isinstance(opened, ReadyModel):
        return
    if not opened.is_own:
        raise OptionError(
            f"{option('robustness')}: the .rknn was quantized by the toolkit "
            f"({opened.manifest.quantization})"
            ", so there is no ONNX model of it to run on worse images",
            f"leave {option('robustness')} out, or quantize the model with rockpress",
        )


def _ratios(row: ModelRow, base: ModelRow) -> Ratios:
    """Return the ratios to the baseline on this host, without latency where it is unoptimised."""
    ratios = ratios_of(row, base)
    return replace(ratios, latency=None) if row.stage == "quantized" else ratios


def _run_onnx(ready: ReadyModel, samples: Samples, progress: Progress) -> _Measured:
    quantized = is_qdq(ready.model)
    outputs = run_onnxruntime(ready.model, samples, optimise=not quantized, progress=progress)
    name = "quantized" if quantized else "candidate"
    row = onnx_row(name, ready, samples, optimise=not quantized)
    return _Measured(row, outputs, ready.model, quantized)


def _graph(measured: _Measured) -> tuple[GraphNode, ...]:
    """Return what became one layer, where something was built from a file."""
    built = measured.conversion
    if built is None or not isinstance(measured.computed, Path):
        return ()
    model = load_model(measured.computed)
    return fused_graph(model, find_target(built.target), built.layers, {})


def _simulated(
    candidate: Path,
    opened: Rebuildable,
    calib: Samples | None,
    evaluation: Samples,
    recipe: Recipe,
    scale: LatencyScale | None,
    progress: Progress,
) -> _Measured:
    request = opened.request(recipe.toolkit, evaluation.npu_preprocess, calib, NpuFeeds(evaluation))
    conversion = with_scale(convert(request, progress), scale)
    warnings = (*version_warnings(opened.manifest, conversion), *conversion.warnings)
    conversion = replace(conversion, warnings=warnings)
    size = candidate.stat().st_size
    row = replace(compiled_row("rknn", str(candidate), conversion), bytes=size)
    outputs = sample_rows(list(conversion.outputs or ()), evaluation)
    is_qdq_model = opened.manifest.quantization == "qdq"
    return _Measured(row, outputs, opened.source, is_qdq_model, conversion)
