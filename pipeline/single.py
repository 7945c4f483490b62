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
from ..convert.convert import Conversion
from ..convert.quantization_choice import QUANTIZERS
from ..core.diagnostics import Diagnostic, option
from ..core.errors import OptionError
from ..core.files import require_writable, staging
from ..core.graphs.model import is_qdq, load_model, model_bytes, model_digest, save_model
from ..core.progress import SILENT, Progress
from ..core.results.model_figures import QuantizationFigure
from ..core.scratch import scratch_folder
from ..prune.prune_result import PruneResult
from ..quantize.error_report import TensorError
from ..quantize.quantize import QuantizeResult
from .figures.explain import explained, require_w8a8
from .figures.figures_of import quantization_figure
from .recipes.recipe import Recipe
from .recipes.requirements import (
    only_target,
    pruning_target,
    require_output,
    require_toolkit,
    require_unread,
)
from .samples.audits import audited, ranges_seen
from .samples.preprocess_warnings import calibration_notices
from .samples.ready_model import ReadyModel, ready_model
from .stages.converting import convert_step
from .stages.distilling import distil_pruned, distillation_notices
from .stages.given_plan import (
    carried,
    intended_beside,
    not_in_the_plan,
    planned,
    require_not_four_bits,
)
from .stages.manifest_files import write_beside
from .stages.plan_handover import ranges_of
from .stages.pruning import Pruning
from .stages.quantizing import quantize_as, quantize_notices

# how close the quantized model stays is shown on so many samples: a first look, not a check
_LOOK_SAMPLES = 64


@dataclass(frozen=True)
class Build:
    """How ``convert_file`` is to build.

    ``quantization`` is auto (a QDQ model as it says, any other in float16), float16, or one of the
    toolkit's own quantizers, which need calibration samples and make ``dtype`` (w8a8; gdq: the
    first of w4a16 and w8a16 that the chip has). With a ``plan`` a float model is quantized as that
    says: auto tries every way to carry it, hybrid gives its ranges to the toolkit. ``pixels`` says
    that the ``.rknn`` takes pixels even where no samples do.
    """

    quantization: str = "auto"
    dtype: str | None = None
    plan: Path | None = None
    pixels: bool = False


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
    pruning = Pruning(ready.model, calib, recipe, target, progress.step)
    if recipe.recover != "distill":
        return pruning.write(output)
    with scratch_folder() as work:
        pruned = work / output.name
        result = pruning.write(pruned)
        progress.stage("distill")
        found = distil_pruned(recipe, ready.model, pruned, calib, output, progress.step)
    for notice in distillation_notices(found):
        progress.warn(notice)
    return replace(result, path=output, distillation=found)


def quantize_file(
    recipe: Recipe,
    output: Path,
    progress: Progress = SILENT,
    *,
    explain: bool = False,
    simulator: bool = False,
    symmetric: bool = False,
) -> Quantized:
    """Quantize ``recipe.model`` to ``output``, the plan beside it. Raises RockpressError.

    With ``explain`` the error of every tensor is measured too, with ``simulator`` also in the RKNN
    simulator. With ``symmetric`` zero points are 0 and biases stay in float, for runtimes that want
    that.
    """
    require_w8a8(
        recipe,
        {
            "symmetric": symmetric,
            "explain": explain,
            "simulator": simulator,
        },
    )
    target = only_target(recipe, "quantize")
    _require_output(recipe, output, ".onnx")
    ready, calib, odd = _ready(recipe, "quantization", progress)
    progress.stage("quantize")
    plan = output.with_suffix(".plan.toml")
    result = quantize_as(
        recipe, target, ready.model, output, plan, calib, progress.step, symmetric=symmetric
    )
    few = calib.take(_LOOK_SAMPLES, recipe.seed)
    before = run_onnxruntime(ready.model, few)
    after = run_onnxruntime(output, few, optimise=False)
    comparison = compare(before, after, None)
    sizes = model_bytes(recipe.model), model_bytes(output)
    joined = (
        *odd,
        *quantize_notices(recipe, result),
        *join_warnings(view_of(load_model(output), None)),
    )
    figure = quantization_figure(result)
    errors: tuple[TensorError, ...] = ()
    if explain or simulator:
        where = target if simulator else None
        errors = explained(ready.model, result, calib, where, recipe, progress)
    return Quantized(result, *sizes, comparison, figure, joined, errors)


def convert_file(
    recipe: Recipe, output: Path, build: Build | None = None, progress: Progress = SILENT
) -> Conversion:
    """Convert ``recipe.model`` to ``output``, the manifest beside it. Raises RockpressError.

    The ``.rknn`` takes pixels, with mean and std inside, when the samples are images or, without
    samples, when ``build`` says so.
    """
    build = build or Build()
    target = find_target(recipe.targets[0])
    require_toolkit(recipe.toolkit_python)
    _require_output(recipe, output, ".rknn")
    if build.plan is not None:
        require_unread(intended_beside(output.with_suffix("")), [recipe.model])
    _require_quantizable(recipe, build)
    ready = ready_model(recipe.model, recipe.input_shapes, recipe.size, recipe.outputs)
    calib = _calib(ready, recipe)
    how = _inside(ready, calib, recipe, pixels=build.pixels)
    chosen = _chosen(ready, build)
    if chosen == "float16" and build.quantization == "auto":
        require_not_four_bits(ready.original)
    ranges = ranges_seen(ready, calib)
    notices = audited(ready, target, recipe, progress, quantization=chosen, how=how, ranges=ranges)
    progress.stage("convert")
    with staging(output.parent) as folder, scratch_folder() as work:
        model = work / f"{recipe.model.stem}.onnx"
        base, quantized = planned(ready.model, build.plan, folder / output.stem)
        save_model(base, model)
        way, dtype = carried(build.quantization, build.dtype, quantized)
        exact = quantized if chosen == "qdq" and way == "auto" else None
        conversion = convert_step(
            exact.path if exact else model,
            folder / output.name,
            target,
            recipe,
            how=how,
            quantization=way,
            dtype=dtype,
            calib=calib,
            float_model=model if exact else None,
            plan=ranges_of(quantized.plan, base) if quantized else None,
            step=progress.step,
        )
        digests = {"source": model_digest(recipe.model)}
        if calib is not None:
            digests["calibration"] = calib.digest()
        write_beside(folder / output.name, conversion, base, how, quantized, digests)
    warnings = list(notices)
    if quantized is not None:
        warnings.extend(not_in_the_plan(quantized.plan, base))
    return replace(conversion, path=output, warnings=(*warnings, *conversion.warnings))


def _require_quantizable(recipe: Recipe, build: Build) -> None:
    how = build.quantization
    if recipe.calib is None and how not in ("auto", "float16"):
        raise OptionError(
            f"{option('toolkit-quantizer', how)} needs calibration samples",
            f"give some with {option('calib')}",
        )
    if build.plan is not None and how not in ("auto", "hybrid"):
        raise OptionError(
            f"{option('toolkit-quantizer', how)} takes no {option('plan')}",
            "leave one of the two out",
        )
    if build.plan is None and how == "hybrid":
        raise OptionError(
            f"{option('route', 'hybrid')} needs the ranges of a plan",
            f"give one with {option('plan', 'FILE')}",
        )
    if build.dtype is not None and how not in QUANTIZERS:
        raise OptionError(
            f"{option('scheme', build.dtype)} is for the toolkit's own quantizers",
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


def _chosen(ready: ReadyModel, build: Build) -> str:
    if build.quantization != "auto":
        return build.quantization
    return "qdq" if build.plan or is_qdq(ready.model) else "float16"


def _require_output(recipe: Recipe, output: Path, suffix: str) -> None:
    require_output(output, suffix, [recipe.model])
    require_writable(output.parent)


def _ready(
    recipe: Recipe, stage: str, progress: Progress
) -> tuple[ReadyModel, Samples, tuple[Diagnostic, ...]]:
    """The model, its calibration samples, and what is odd about them, told to the progress."""
    ready = ready_model(recipe.model, recipe.input_shapes, recipe.size, recipe.outputs)
    calib = _calib(ready, recipe)
    if calib is None:
        raise OptionError(f"{stage} needs calibration samples", f"give some with {option('calib')}")
    notices = calibration_notices(calib, recipe)
    for one in notices:
        progress.warn(one)
    return ready, calib, notices


def _calib(ready: ReadyModel, recipe: Recipe) -> Samples | None:
    if recipe.calib is None:
        return None
    return ready.samples(recipe.calib, recipe.preprocessing, recipe.calib_count, recipe.seed)
