"""Compare any candidate with its baseline on the same samples, where the candidate will run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from .. import __version__
from ..accuracy.compare import Comparison, compare
from ..accuracy.runners import run_onnxruntime
from ..calibration_data.samples import Samples
from ..convert.convert import Conversion
from ..convert.environment import toolkit_version
from ..convert.manifest import Manifest, manifest_path, read_manifest, verify_files
from ..convert.targets import find_target
from ..core.errors import OptionError, SamplesError
from ..core.graph import Array
from ..core.layers import macs_of
from ..core.model import is_qdq, model_bytes, parameter_count
from ..core.observer import SILENT, Observer
from ..core.results import ModelRow, Report, TargetReport
from .baseline import host_latency, measure_baseline
from .inputs import ready_model
from .manifests import feed_inputs
from .recipe import Recipe, recipe_document
from .rows import (
    accuracy_figure,
    gate_figures,
    latency_figures,
    layer_documents,
    ratios_of,
    recipe_notices,
    result_notices,
    retention_figure,
)
from .run import open_both, require_toolkit
from .stages import Stages, Step
from .steps import convert_step


@dataclass(frozen=True)
class _Measured:
    row: ModelRow
    outputs: list[Array]
    conversion: Conversion | None = None


def check(recipe: Recipe, candidate: Path, observer: Observer = SILENT) -> Report:
    """Compare ``candidate`` (ONNX, QDQ ONNX or ``.rknn``) with ``recipe.model``.

    A ``.rknn`` is built again from the files that its manifest names, since the file alone cannot
    be simulated. Raises RockpressError, naming a file that is missing or has changed.
    """
    recipe.require_comparison()
    ready = ready_model(recipe.model, recipe.input_shapes, recipe.size, recipe.outputs)
    calib, evaluation = open_both(ready, recipe)
    stages = Stages(observer)
    base = measure_baseline(ready, calib, evaluation, recipe, stages)
    target = None
    with stages.stage("candidate") as step:
        if candidate.suffix == ".rknn":
            manifest = read_manifest(manifest_path(candidate))
            target = manifest.target
            found = _simulated(candidate, manifest, calib, evaluation, recipe, step)
        else:
            found = _run_onnx(candidate, evaluation, recipe, step)
    comparison = compare(base.outputs, found.outputs, evaluation.labels, recipe.metric, recipe.seed)
    row = _with_accuracy(found.row, comparison)
    report = TargetReport(
        target=target,
        models=(base.row, row),
        retention=retention_figure(comparison),
        ratios=ratios_of(row, base.row if target is None else None),
        pruning=None,
        layers=layer_documents(found.conversion) if found.conversion else (),
        gates=gate_figures(recipe.gates, comparison, row),
        warnings=(
            *recipe_notices(recipe),
            *result_notices(found.conversion, comparison, None, recipe.gates),
        ),
        stages=stages.runs,
    )
    toolkit = {"name": "rknn-toolkit2", "version": toolkit_version(recipe.toolkit_python)}
    tool = {"name": "rockpress", "version": __version__}
    return Report(tool, toolkit, recipe_document(recipe), (report,))


def _run_onnx(candidate: Path, samples: Samples, recipe: Recipe, step: Step) -> _Measured:
    ready = ready_model(candidate, recipe.input_shapes, recipe.size)
    quantized = is_qdq(ready.original)
    total = len(samples)
    outputs = run_onnxruntime(
        ready.model,
        samples,
        optimise=not quantized,
        on_progress=lambda done: step("evaluate", done, total),
    )
    row = ModelRow(
        stage="quantized" if quantized else "candidate",
        path=str(candidate),
        bytes=model_bytes(candidate),
        parameters=parameter_count(ready.original),
        macs=macs_of(ready.model),
        latency=(host_latency(ready.model, samples, optimise=not quantized),),
    )
    return _Measured(row, outputs)


def _simulated(
    candidate: Path,
    manifest: Manifest,
    calib: Samples | None,
    evaluation: Samples,
    recipe: Recipe,
    step: Step,
) -> _Measured:
    if not candidate.is_file():
        raise OptionError(f"{candidate}: the file does not exist", "give the path of the .rknn")
    require_toolkit(recipe.toolkit_python)
    files = verify_files(manifest, candidate.parent)
    _require_same_feed(manifest, evaluation, candidate)
    own = manifest.quantization in ("qdq", "float16")
    if not own:
        _require_same_calibration(manifest, calib, candidate)
    source = files.get("intended") or files["model"]
    conversion = convert_step(
        source,
        None,
        find_target(manifest.target),
        recipe,
        pixels=evaluation,
        quantization="auto" if own else manifest.quantization,
        calib=None if own else calib,
        simulate=evaluation,
        step=step,
    )
    row = ModelRow(
        stage="rknn",
        path=str(candidate),
        bytes=candidate.stat().st_size,
        latency=latency_figures(conversion),
    )
    return _Measured(row, conversion.outputs or [], conversion)


def _require_same_feed(manifest: Manifest, evaluation: Samples, candidate: Path) -> None:
    """Mean, std, colour and size are inside or beside the file: others would measure nothing."""
    now = feed_inputs(evaluation.inputs, evaluation)
    if now == manifest.inputs:
        return
    for was, given in zip(manifest.inputs, now, strict=False):
        for what in ("dtype", "layout", "shape", "color", "mean", "std"):
            if getattr(was, what) != getattr(given, what):
                raise OptionError(
                    f"{candidate} was built for {what} {getattr(was, what)}, but the samples give "
                    f"{getattr(given, what)}",
                    "give --color, --mean and --std as they were when it was built",
                )
    raise OptionError(
        f"{candidate} has the inputs {', '.join(one.name for one in manifest.inputs)}, "
        f"the baseline {', '.join(evaluation.inputs)}",
        "compare two forms of one model",
    )


def _require_same_calibration(manifest: Manifest, calib: Samples | None, candidate: Path) -> None:
    """The toolkit's own quantizer needs the samples it had: without them it is another model."""
    if calib is None or calib.digest() != manifest.digests.get("calibration"):
        raise SamplesError(
            f"{candidate} was quantized by the toolkit ({manifest.quantization}); building it "
            "again needs the same calibration samples",
            "give the same --calib, --calib-count, --seed and preprocess options as then",
        )


def _with_accuracy(row: ModelRow, comparison: Comparison) -> ModelRow:
    runner = "rknn-simulator" if row.stage == "rknn" else "onnxruntime"
    return replace(row, accuracy=accuracy_figure(comparison, runner))
