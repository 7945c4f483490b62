"""What a quantized model loses, tensor by tensor, on the samples that its method was chosen by."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import ModelProto

from ...calibration_data.samples import Samples
from ...convert.chips.targets import Target
from ...core.graphs.model import load_model
from ...core.progress import Progress
from ...quantize.error_report import TensorError, error_report
from ...quantize.integer.equalize import as_planned
from ...quantize.quantize import QuantizeResult
from ...quantize.schemes import find_scheme
from ..recipes.recipe import Recipe
from ..recipes.requirements import require_toolkit
from ..stages.quantizing import Steps, held_out
from ..stages.stage_log import Step
from .simulated_errors import with_simulator


def errors_of(
    model: ModelProto,
    result: QuantizeResult,
    calib: Samples,
    seed: int,
    step: Step,
    *,
    seconds: float = 120,
) -> tuple[TensorError, ...]:
    """Return the error of every tensor of ``result``, made of ``model``; see quantize.error_report.

    On the samples that are held out, or on all where there are too few for that. As many tensors
    are measured alone as can be in ``seconds``.
    """
    _, unseen = held_out(calib, seed)
    samples = calib if unseen is None else unseen
    quantized, plan = load_model(result.path), result.plan
    planned = as_planned(model, plan)
    return error_report(planned, quantized, plan, samples, seconds=seconds, progress=Steps(step))


def explained(
    model: ModelProto,
    result: QuantizeResult,
    calib: Samples,
    target: Target | None,
    recipe: Recipe,
    progress: Progress,
) -> tuple[TensorError, ...]:
    """Return the same with two minutes of time, and with a ``target`` in its simulator too."""
    errors = errors_of(model, result, calib, recipe.seed, progress.step)
    if target is None:
        return errors
    progress.stage("simulate")
    return with_simulator(errors, model, result, calib, target, recipe, progress.step)


def require_extras(recipe: Recipe, asked: Mapping[str, bool]) -> None:
    """Raise OptionError for what the scheme does not have, ToolkitError without a simulator."""
    for name in (name for name, is_asked in asked.items() if is_asked):
        find_scheme(recipe.quantize).require_extra(name)
    if asked.get("simulator"):
        require_toolkit(recipe.toolkit_python)
