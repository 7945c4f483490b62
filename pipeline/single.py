"""One stage alone, on one file: what the commands prune, quantize and convert call."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ..accuracy.compare import Comparison, compare
from ..accuracy.runners import run_onnxruntime
from ..calibration_data.preprocess import Preprocess
from ..calibration_data.samples import Samples
from ..convert.audit.audit_view import view_of
from ..convert.audit.range_audit import join_warnings
from ..convert.chips.targets import find_target
from ..convert.convert import Conversion, convert
from ..convert.quantization_choice import QUANTIZERS
from ..core.diagnostics import Diagnostic, option
from ..core.errors import OptionError
from ..core.files import require_writable, staging
from ..core.graphs.model import is_qdq, load_model, model_bytes, model_digest, save_model
from ..core.progress import SILENT, Progress
from ..core.results.model_figures import QuantizationFigure
from ..core.scratch import scratch_folder
from ..prune.results.prune_result import PruneResult
from ..quantize.error_report import TensorError
from ..quantize.quantize import QuantizeResult
from .figures.figures_of import quantization_figure
from .options.convert_options import ConvertOptions
from .recipes.recipe import Recipe
from .requirements import only_target, pruning_target, require_output, require_unread
from .samples.audits import audit_target, sample_ranges
from .samples.preprocess_warnings import calibration_notices
from .samples.ready_model import ReadyModel, ready_model
from .tasks.converting import NpuFeeds, conversion_request, require_toolkit
from .tasks.distilling import distil_pruned, distil_task, distillation_notices
from .tasks.explain import explained, require_extras
from .tasks.given_plan import (
    apply_plan,
    intended_beside,
    missing_weights,
    quantization_with,
    require_no_rounded_weights,
)
from .tasks.manifest_files import write_beside
from .tasks.plan_handover import ranges_of
from .tasks.pruning import Pruning, prune_task
from .tasks.quantizing import quantize_as, quantize_notices, quantize_task

# how close the quantized model stays is shown on so many samples: a first look, not a check
_LOOK_SAMPLES = 64


@dataclass(frozen=True)
class Quantized:
    """A quantized file, its size beside the original's, and how close the outputs stay.

    ``warnings`` tell of outputs that int8 cannot hold, whatever the closeness says. ``errors`` are
    those of the tensors, worst first, when they were asked for.
    """

    result: QuantizeResult
    bytes_before: int
    bytes_after: int
    comparison: Comparison
    figure: QuantizationFigure
    warnings: tuple[Diagnostic, ...] = ()
    errors: tuple[TensorError, ...] = ()


def prune_file(recipe: Recipe, output: Path, progress: Progress = SILENT) -> PruneResult:
    """Prune ``recipe.model`` to its budget and write ``output``. Raises RockpressError."""
    target = pruning_target(recipe)
    _require_output(recipe, output, ".onnx")
    ready, calib, _ = _ready(recipe, "pruning", progress)
    progress.stage("prune")
    pruning = Pruning(prune_task(ready.model, calib, recipe, target), progress)
    if recipe.prune.recover != "distill":
        return pruning.write(output)
    with scratch_folder() as work:
        pruned = work / output.name
        result = pruning.write(pruned)
        progress.stage("distill")
        task = distil_task(ready.model, pruned, calib, recipe)
        found = distil_pruned(task, output, recipe.cache, progress)
    for notice in distillation_notices(found):
        progress.warn(notice)
    return replace(result, path=output, distillation=found)


def quantize_file(
    recipe: Recipe,
    output: Path,
    progress: Progress = SILENT,
) -> Quantized:
    """Quantize ``recipe.model`` to ``output``, the plan beside it. Raises RockpressError.

    As ``recipe.explain`` asks, the error of every tensor is measured too, also in the RKNN
    simulator.
    """
    require_extras(recipe)
    target = only_target(recipe, "quantize")
    _require_output(recipe, output, ".onnx")
    ready, calib, odd = _ready(recipe, "quantization", progress)
    progress.stage("quantize")
    plan = output.with_suffix(".plan.toml")
    task = quantize_task(ready.model, calib, recipe, target)
    result = quantize_as(task, output, plan, progress)
    few = calib.take(_LOOK_SAMPLES, recipe.run.seed)
    before = run_onnxruntime(ready.model, few)
    after = run_onnxruntime(output, few, optimise=False)
    comparison = compare(before, after, None)
    sizes = model_bytes(recipe.model), model_bytes(output)
    joined = (
        *odd,
        *quantize_notices(recipe.quantize, result),
        *join_warnings(view_of(load_model(output), None)),
    )
    figure = quantization_figure(result)
    errors: tuple[TensorError, ...] = ()
    if recipe.explain.explain or recipe.explain.simulator:
        where = target if recipe.explain.simulator else None
        errors = explained(ready.model, result, calib, where, recipe, progress)
    return Quantized(result, *sizes, comparison, figure, joined, errors)


def convert_file(
    recipe: Recipe, output: Path, progress: Progress = SILENT, *, pixels: bool = False
) -> Conversion:
    """Convert ``recipe.model`` to ``output``, the manifest beside it. Raises RockpressError.

    A QDQ model is converted as it says, any other in float16, unless ``recipe.convert`` names one
    of the toolkit's own quantizers, which need calibration samples, or a plan. The ``.rknn`` takes
    pixels, with mean and std inside, when the samples are images or, without samples, when
    ``pixels`` says so.
    """
    plan, quantization, dtype = recipe.convert.plan, asked_for(recipe.convert), _dtype(recipe)
    target = find_target(recipe.run.target[0])
    require_toolkit(recipe.toolkit.toolkit_python)
    _require_output(recipe, output, ".rknn")
    if plan is not None:
        require_unread(intended_beside(output.with_suffix("")), [recipe.model])
    _require_quantizable(recipe)
    ready = ready_model(recipe.model, recipe.shape.input, recipe.shape.size, recipe.shape.outputs)
    calib = _calib(ready, recipe)
    how = _inside(ready, calib, recipe, pixels=pixels)
    chosen = _chosen(ready, recipe)
    if chosen == "float16" and quantization == "auto":
        require_no_rounded_weights(ready.original)
    ranges = sample_ranges(ready, calib)
    notices = audit_target(
        ready,
        target,
        progress,
        toolkit_python=recipe.toolkit.toolkit_python,
        quantization=chosen,
        preprocess=how,
        ranges=ranges,
    )
    progress.stage("convert")
    with staging(output.parent) as folder, scratch_folder() as work:
        model = work / f"{recipe.model.stem}.onnx"
        base, quantized = apply_plan(ready.model, plan, folder / output.stem)
        save_model(base, model)
        way, dtype = quantization_with(quantization, dtype, quantized)
        exact = quantized if chosen == "qdq" and way == "auto" else None
        asked = conversion_request(
            recipe.toolkit, exact.path if exact else model, folder / output.name, target, how
        )
        request = replace(
            asked,
            quantization=way,
            dtype=dtype,
            calibration=NpuFeeds(calib) if calib is not None else (),
            float_model=model if exact else None,
            plan=ranges_of(quantized.plan, base) if quantized else None,
        )
        conversion = convert(request, progress)
        digests = {"source": model_digest(recipe.model)}
        if calib is not None:
            digests["calibration"] = calib.digest()
        write_beside(folder / output.name, conversion, base, how, quantized, digests)
    warnings = list(notices)
    if quantized is not None:
        warnings.extend(missing_weights(quantized.plan, base))
    return replace(conversion, path=output, warnings=(*warnings, *conversion.warnings))


def asked_for(options: ConvertOptions) -> str:
    """Return how the toolkit is to quantize: auto, float16, qdq, hybrid or one of its quantizers.

    Raises OptionError when the options name more than one way.
    """
    ways = {
        option("toolkit-quantizer", options.toolkit_quantizer): options.toolkit_quantizer,
        option("route", options.route): None if options.route == "auto" else options.route,
        option("scheme", "float16"): "float16" if options.scheme == "float16" else None,
    }
    named = {text: way for text, way in ways.items() if way}
    if len(named) > 1:
        raise OptionError(f"{' and '.join(named)} do not go together", "leave one of the two out")
    return next(iter(named.values()), "auto")


def _dtype(recipe: Recipe) -> str | None:
    scheme = recipe.convert.scheme
    return None if scheme == "float16" else scheme


def _require_quantizable(recipe: Recipe) -> None:
    how, plan, scheme = asked_for(recipe.convert), recipe.convert.plan, _dtype(recipe)
    named = option("toolkit-quantizer", how) if how in QUANTIZERS else option("route", how)
    if recipe.samples.calib is None and how in (*QUANTIZERS, "hybrid"):
        raise OptionError(f"{named} needs calibration samples", f"give some with {option('calib')}")
    if plan is not None and how in (*QUANTIZERS, "float16"):
        named = option("scheme", how) if how == "float16" else named
        raise OptionError(f"{named} takes no {option('plan')}", "leave one of the two out")
    if plan is None and how == "hybrid":
        raise OptionError(
            f"{named} needs the ranges of a plan", f"give one with {option('plan', 'FILE')}"
        )
    if scheme is not None and how not in QUANTIZERS:
        raise OptionError(
            f"{option('scheme', scheme)} is for the toolkit's own quantizers",
            f"choose one with {option('toolkit-quantizer')}: {', '.join(QUANTIZERS)}",
        )


def _inside(
    ready: ReadyModel, calib: Samples | None, recipe: Recipe, *, pixels: bool
) -> Preprocess | None:
    """What the ``.rknn`` does to pixels itself; None when it takes prepared tensors."""
    how = ready.preprocess(recipe.preprocessing) if pixels else None
    if how is not None and not how.is_planar(next(iter(ready.inputs.values()))):
        raise OptionError(
            f"{recipe.model} has its channels last, so mean and std cannot go inside the .rknn",
            "leave the preprocess options out and normalise before feeding it",
        )
    return how if calib is None else calib.npu_preprocess


def _chosen(ready: ReadyModel, recipe: Recipe) -> str:
    quantization = asked_for(recipe.convert)
    if quantization != "auto":
        return quantization
    return "qdq" if recipe.convert.plan or is_qdq(ready.model) else "float16"


def _require_output(recipe: Recipe, output: Path, suffix: str) -> None:
    require_output(output, suffix, [recipe.model])
    require_writable(output.parent)


def _ready(
    recipe: Recipe, stage: str, progress: Progress
) -> tuple[ReadyModel, Samples, tuple[Diagnostic, ...]]:
    """The model, its calibration samples, and what is odd about them, told to the progress."""
    ready = ready_model(recipe.model, recipe.shape.input, recipe.shape.size, recipe.shape.outputs)
    calib = _calib(ready, recipe)
    if calib is None:
        raise OptionError(f"{stage} needs calibration samples", f"give some with {option('calib')}")
    notices = calibration_notices(calib, recipe.run.seed)
    for one in notices:
        progress.warn(one)
    return ready, calib, notices


def _calib(ready: ReadyModel, recipe: Recipe) -> Samples | None:
    if recipe.samples.calib is None:
        return None
    return ready.samples(
        recipe.samples.calib, recipe.preprocessing, recipe.samples.calib_count, recipe.run.seed
    )
