"""What ``rockpress convert`` calls: one model converted to a file, or for several targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from onnx import ModelProto

from ..accuracy.metrics.metric_table import BoundMetric, bind_metric
from ..calibration_data.hygiene import sample_warnings
from ..calibration_data.preprocess import Preprocess
from ..calibration_data.samples import Samples
from ..convert.audit.audit_view import view_of
from ..convert.audit.range_audit import join_warnings
from ..convert.chips.targets import Target
from ..convert.convert import Conversion, convert, with_scale
from ..convert.request import QUANTIZERS
from ..core.diagnostics import Diagnostic, in_order, option
from ..core.errors import OptionError, RockpressError
from ..core.files import staging
from ..core.graphs.model import is_qdq, load_model, model_bytes, save_model
from ..core.passes.float_weights import stores_few_bits
from ..core.progress import SILENT, Progress
from ..core.scratch import scratch_folder
from ..quantize.rendering.plan import read_plan
from .filled_recipe import fill_recipe
from .measured_scales import measured_scales
from .output_files import archive_stale, require_output, require_unread
from .parallel import each_target
from .recipes.recipe import Recipe, only_target, targets_of
from .samples.audits import audit_target, sample_ranges
from .samples.class_names import class_names
from .samples.input_sets import ready_in_all
from .samples.ready_model import ReadyModel, calibration_samples, ready_model
from .tasks.board_code import require_supported, write_board_code
from .tasks.converting import NpuFeeds, conversion_request
from .tasks.installed_toolkit import require_toolkit
from .tasks.manifest_files import calibration_record, write_manifest_beside
from .tasks.plan_handover import ranges_of
from .tasks.user_plan import (
    apply_plan,
    intended_beside,
    quantization_with,
    require_carried,
    require_no_rounded_weights,
    weight_warnings,
)


def convert_file(
    recipe: Recipe, output: Path, progress: Progress = SILENT, *, pixels: bool = False
) -> Conversion:
    """Convert ``recipe.model`` to ``output``, the manifest beside it. Raises RockpressError.

    A QDQ model is converted as it says, any other in float16, unless ``recipe.convert`` names one
    of the toolkit's own quantizers, which need calibration samples, or a plan. The ``.rknn`` takes
    pixels, with mean and std inside, when the samples are images or, without samples, when
    ``pixels`` or the model's family says so.
    """
    filled = fill_recipe(recipe, "convert", progress)
    recipe = filled.recipe
    scales = measured_scales(recipe, [only_target(recipe, "convert")], progress)
    conversion = _converted(recipe, output, progress, pixels or filled.takes_pixels)
    return with_scale(conversion, scales.get(conversion.target))


def _converted(recipe: Recipe, output: Path, progress: Progress, pixels: bool) -> Conversion:
    plan, quantization = recipe.convert.plan, requested_quantization(recipe)
    scheme = recipe.convert.scheme
    target = only_target(recipe, "convert")
    require_toolkit(recipe.toolkit.toolkit_python)
    require_output(output, ".rknn", recipe.model)
    has_sets = bool(recipe.shape.input_sets)
    require_supported(recipe.convert.code, target.name, recipe.convert.rknn_batch_size, has_sets)
    if plan is not None:
        require_unread(intended_beside(output.with_suffix("")), recipe.model)
    _require_quantizable(recipe, quantization)
    ready = ready_in_all(ready_model(recipe.model, recipe.shape), recipe.shape)
    calib = calibration_samples(ready, recipe)
    preprocess = _npu_preprocess(ready, calib, recipe, pixels=pixels)
    chosen = quantization
    if quantization == "auto":
        chosen = "qdq" if plan or is_qdq(ready.model) else "float16"
        if chosen == "float16":
            require_no_rounded_weights(ready.original)
    _require_scheme(recipe, quantization, ready)
    if plan is not None:
        require_carried(plan, quantization, target)
    of_samples = () if calib is None else sample_warnings(calib, None, recipe.run.seed)
    for warning in of_samples:
        progress.warn(warning)
    of_model = audit_target(
        ready,
        target,
        progress,
        toolkit_python=recipe.toolkit.toolkit_python,
        quantization=chosen,
        preprocess=preprocess,
        ranges=sample_ranges(ready, calib),
        keeps_parts_apart=plan is not None,
    )
    warnings = (*of_samples, *of_model)
    progress.stage("convert")
    with staging(output.parent) as folder, scratch_folder() as work:
        model = work / f"{recipe.model.stem}.onnx"
        base, quantized = apply_plan(ready.model, plan, folder / output.stem)
        save_model(base, model)
        dtype = None if scheme == "float16" else scheme
        quantizer, dtype = quantization_with(quantization, dtype, quantized)
        exact = quantized if chosen == "qdq" and quantizer == "auto" else None
        source, rknn = exact.path if exact else model, folder / output.name
        request = replace(
            conversion_request(recipe.toolkit, source, rknn, target, preprocess),
            quantization=quantizer,
            dtype=dtype,
            calibration=NpuFeeds(calib) if calib is not None else (),
            float_model=model if exact else None,
            level=recipe.toolkit.toolkit_level,
            rknn_batch_size=recipe.convert.rknn_batch_size,
            input_sets=recipe.shape.input_sets,
            plan=ranges_of(quantized.plan, base) if quantized else None,
        )
        if exact is not None:
            warnings = (*warnings, *join_warnings(view_of(load_model(exact.path), None)))
        conversion = convert(request, progress)
        digests = ready.digests
        if calib is not None:
            digests["calibration"] = calib.digest()
        scoring = _scoring(recipe, base, preprocess)
        names = class_names(recipe)
        record = calibration_record(calib, recipe.run.seed)
        manifest = write_manifest_beside(
            rknn, conversion, base, preprocess, quantized, digests, names, scoring, record
        )
        if recipe.convert.code:
            write_board_code(rknn, manifest, recipe.convert.code)
    if quantized is not None:
        warnings = (*warnings, *weight_warnings(quantized.plan, ready.original))
    conversion = replace(conversion, path=output, bytes_before=model_bytes(recipe.model))
    warnings = (*warnings, *conversion.warnings, *_size_warnings(conversion, ready.original))
    return replace(conversion, warnings=in_order(warnings))


def _size_warnings(conversion: Conversion, given: ModelProto) -> Iterator[Diagnostic]:
    """Yield the warning that a ``.rknn`` is larger than the float model that was given.

    Than a quantized one it nearly always is, as such a file has hardly more than its weights.
    """
    before, after = conversion.bytes_before or 0, conversion.bytes
    if after <= before or is_qdq(given) or stores_few_bits(given):
        return
    hint = "beside the weights it holds the NPU's commands, which are most of a small model"
    if conversion.quantization == "float16":
        hint += "; rockpress quantize makes it smaller"
    text = f"larger than the model that was given, {after:,} bytes instead of {before:,}"
    yield Diagnostic("result-larger", text, hint)


def _scoring(
    recipe: Recipe, model: ModelProto, preprocess: Preprocess | None
) -> BoundMetric | None:
    """Return the metric that reads the outputs; None where it cannot, and none was asked for.

    Raises OptionError.
    """
    options = recipe.metric
    outputs = [output.name for output in model.graph.output]
    size = preprocess.size if preprocess else None
    try:
        return bind_metric(
            options.metric, options.metric_option, options.metric_output, outputs, size
        )
    except OptionError:
        if recipe.convert.code:
            raise
        return None


def convert_files(
    recipe: Recipe, folder: Path, progress: Progress = SILENT, *, pixels: bool = False
) -> dict[str, Conversion | RockpressError]:
    """Convert ``recipe.model`` for every target of the recipe, ``recipe.toolkit.jobs`` at once.

    Writes ``folder/<target>/<stem>.rknn`` and its manifest; see ``convert_file`` for the rest.
    Returns target -> conversion, or the error of a target that failed: files of an earlier run are
    set aside then. Raises RockpressError when all failed, and nothing is written.
    """
    targets = targets_of(recipe)
    name = f"{recipe.model.stem}.rknn"
    filled = fill_recipe(recipe, "convert", progress)
    recipe, pixels = filled.recipe, pixels or filled.takes_pixels
    scales = measured_scales(recipe, targets, progress)
    for target in targets:
        require_output(folder / target.name / name, ".rknn", recipe.model)
    with staging(folder) as work:

        def convert_for(target: Target, share: Recipe, watched: Progress) -> Conversion:
            alone = share.with_options(target=target.name)
            return _converted(alone, work / target.name / name, watched, pixels)

        outcomes = each_target(targets, recipe, convert_for, progress)
    results: dict[str, Conversion | RockpressError] = {}
    for target, outcome in zip(targets, outcomes, strict=True):
        if isinstance(outcome, RockpressError):
            archive_stale(folder / target.name, recipe.model.stem)
            results[target.name] = outcome
        else:
            scaled = with_scale(outcome, scales.get(target.name))
            results[target.name] = replace(scaled, path=folder / target.name / name)
    return results


def requested_quantization(recipe: Recipe) -> str:
    """Return how the toolkit is to quantize: auto, float16, qdq, hybrid or one of its quantizers.

    Raises OptionError when the options name more than one way.
    """
    named = _named_quantizations(recipe)
    if len(named) > 1:
        raise OptionError(f"{' and '.join(named)} do not go together", "leave one of the two out")
    return next(iter(named.values()), "auto")


def _named_quantizations(recipe: Recipe) -> Mapping[str, str]:
    """Return the mention of each option that says how to quantize -> what it says."""
    options = recipe.convert
    values = {
        option("toolkit-quantizer", options.toolkit_quantizer): options.toolkit_quantizer,
        option("route", options.route): None if options.route == "auto" else options.route,
        option("scheme", "float16"): "float16" if options.scheme == "float16" else None,
    }
    return {mention: value for mention, value in values.items() if value}


def _require_quantizable(recipe: Recipe, quantization: str) -> None:
    plan = recipe.convert.plan
    mention = next(iter(_named_quantizations(recipe)), "")
    if recipe.samples.calib is None and quantization in (*QUANTIZERS, "hybrid"):
        raise OptionError(
            f"{mention} needs calibration samples", f"give some with {option('calib')}"
        )
    if plan is not None and quantization in (*QUANTIZERS, "float16"):
        raise OptionError(f"{mention} takes no {option('plan')}", "leave one of the two out")


def _require_scheme(recipe: Recipe, quantization: str, ready: ReadyModel) -> None:
    """Raise OptionError for a scheme that is neither the toolkit's to make nor there already."""
    plan, scheme = recipe.convert.plan, recipe.convert.scheme
    if scheme in (None, "float16") or quantization in QUANTIZERS:
        return
    present = read_plan(plan).scheme if plan else "w8a8" if is_qdq(ready.model) else None
    if scheme != present:
        raise OptionError(
            f"{option('scheme', scheme)} is for the toolkit's own quantizers",
            f"choose one with {option('toolkit-quantizer')}: {', '.join(QUANTIZERS)}; or quantize "
            f"the model first, and give {option('plan')}",
        )


def _npu_preprocess(
    ready: ReadyModel, calib: Samples | None, recipe: Recipe, *, pixels: bool
) -> Preprocess | None:
    """Return what the ``.rknn`` does to pixels itself; None when it takes prepared tensors."""
    pixels = pixels or ready.takes_bytes
    preprocess = ready.preprocess(recipe.preprocessing) if pixels else None
    if preprocess is not None and not preprocess.is_planar(next(iter(ready.inputs.values()))):
        raise OptionError(
            f"{recipe.model} has its channels last, so mean and std cannot go inside the .rknn",
            "leave the preprocess options out and normalise before feeding it",
        )
    return preprocess if calib is None else calib.npu_preprocess
