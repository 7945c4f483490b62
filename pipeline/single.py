"""One stage alone, on one file: what the commands prune, quantize and convert call."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from ..accuracy.compare import Comparison, compare
from ..accuracy.runners import run_onnxruntime
from ..calibration_data.samples import Samples
from ..convert.convert import Conversion
from ..convert.targets import find_target
from ..core.errors import OptionError
from ..core.files import require_writable, staging
from ..core.model import model_bytes, model_digest, save_model
from ..core.observer import SILENT, Observer
from ..prune.prune import PruneResult, parse_budget
from ..quantize.quantize import QuantizeResult
from .inputs import ReadyModel, ready_model
from .manifests import write_beside
from .recipe import Recipe
from .requirements import require_output, require_toolkit
from .steps import convert_step, prune_step, quantize_step

# how close the quantized model stays is shown on so many samples: a first look, not a check
_LOOK_SAMPLES = 64


@dataclass(frozen=True)
class Quantized:
    """A quantized file, its size beside the original's, and how close the outputs stay."""

    result: QuantizeResult
    bytes_before: int
    bytes_after: int
    comparison: Comparison


def prune_file(recipe: Recipe, output: Path, observer: Observer = SILENT) -> PruneResult:
    """Prune ``recipe.model`` to its budget and write ``output``. Raises RockpressError."""
    if not recipe.prune:
        raise OptionError("nothing says how much to prune", "for example --budget cycles=-30%")
    budget = parse_budget(recipe.prune)
    target = find_target(recipe.targets[0])
    _require_output(recipe, output, ".onnx")
    ready, calib = _ready(recipe, "pruning")
    observer.stage("prune")
    return prune_step(
        ready.model,
        output,
        calib,
        budget,
        target,
        dtype="float16" if recipe.quantize == "float16" else "int8",
        recover=recipe.recover,
        seed=recipe.seed,
        step=observer.step,
    )


def quantize_file(recipe: Recipe, output: Path, observer: Observer = SILENT) -> Quantized:
    """Quantize ``recipe.model`` to ``output``, the plan beside it. Raises RockpressError."""
    _require_output(recipe, output, ".onnx")
    ready, calib = _ready(recipe, "quantization")
    observer.stage("quantize")
    plan = output.with_suffix(".plan.toml")
    result = quantize_step(ready.model, output, plan, calib, observer.step)
    few = calib.take(_LOOK_SAMPLES, recipe.seed)
    before = run_onnxruntime(ready.model, few)
    after = run_onnxruntime(output, few, optimise=False)
    comparison = compare(before, after, None)
    return Quantized(result, model_bytes(recipe.model), model_bytes(output), comparison)


def convert_file(
    recipe: Recipe,
    output: Path,
    quantization: str = "auto",
    observer: Observer = SILENT,
    *,
    pixels: bool = False,
) -> Conversion:
    """Convert ``recipe.model`` to ``output``, the manifest beside it. Raises RockpressError.

    ``quantization`` is auto (a QDQ model as it says, any other in float16) or one of the toolkit's
    own quantizers, which need calibration samples. The ``.rknn`` takes pixels, with mean and std
    inside, when the samples are images or, without samples, when ``pixels`` says so.
    """
    target = find_target(recipe.targets[0])
    require_toolkit(recipe.toolkit_python)
    _require_output(recipe, output, ".rknn")
    if recipe.calib is None and quantization not in ("auto", "float16"):
        raise OptionError(
            f"--quantize {quantization} needs calibration samples", "give some with --calib"
        )
    ready = ready_model(recipe.model, recipe.input_shapes, recipe.size, recipe.outputs)
    calib = _calib(ready, recipe)
    how = ready.preprocess(recipe.preprocessing) if pixels else None
    if how is not None and how.layout == "nhwc":
        raise OptionError(
            f"{recipe.model} has its channels last, so mean and std cannot go inside the .rknn",
            "leave the preprocess options out and normalise before feeding it",
        )
    if calib is not None:
        how = calib.npu_preprocess
    observer.stage("convert")
    with staging(output.parent) as folder, tempfile.TemporaryDirectory(prefix="rockpress-") as work:
        model = Path(work) / f"{recipe.model.stem}.onnx"
        save_model(ready.model, model)
        conversion = convert_step(
            model,
            folder / output.name,
            target,
            recipe,
            how=how,
            quantization=quantization,
            calib=calib,
            step=observer.step,
        )
        digests = {"source": model_digest(recipe.model)}
        if calib is not None:
            digests["calibration"] = calib.digest()
        write_beside(folder / output.name, conversion, ready.model, how, None, digests)
    return replace(conversion, path=output)


def _require_output(recipe: Recipe, output: Path, suffix: str) -> None:
    require_output(output, suffix, [recipe.model])
    require_writable(output.parent)


def _ready(recipe: Recipe, stage: str) -> tuple[ReadyModel, Samples]:
    ready = ready_model(recipe.model, recipe.input_shapes, recipe.size, recipe.outputs)
    calib = _calib(ready, recipe)
    if calib is None:
        raise OptionError(f"{stage} needs calibration samples", "give some with --calib")
    return ready, calib


def _calib(ready: ReadyModel, recipe: Recipe) -> Samples | None:
    if recipe.calib is None:
        return None
    return ready.samples(recipe.calib, recipe.preprocessing, recipe.calib_count, recipe.seed)
