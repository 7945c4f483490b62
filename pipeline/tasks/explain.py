"""What a quantized model loses, tensor by tensor, on the samples that its method was chosen by."""

from __future__ import annotations

from dataclasses import asdict

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
from .converting import require_toolkit
from .quantizing import held_out
from .simulated_errors import with_simulator


def errors_of(
    model: ModelProto,
    result: QuantizeResult,
    calib: Samples,
    seed: int,
    progress: Progress,
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
    return error_report(planned, quantized, plan, samples, seconds=seconds, progress=progress)


def tensor_errors(
    model: ModelProto,
    result: QuantizeResult,
    calib: Samples,
    target: Target | None,
    recipe: Recipe,
    progress: Progress,
) -> tuple[TensorError, ...]:
    """Return what ``errors_of`` gives, with a ``target`` in its simulator too."""
    errors = errors_of(model, result, calib, recipe.run.seed, progress)
    if target is None:
        return errors
    progress.stage("simulate")
    return with_simulator(errors, model, result, calib, target, recipe, progress)


def require_extras(recipe: Recipe) -> None:
    """Raise OptionError for what the scheme does not have, ToolkitError without a simulator."""
    extras = {**asdict(recipe.explain), "symmetric": recipe.quantize.symmetric}
    for name in (name for name, is_asked in extras.items() if is_asked):
        find_scheme(recipe.quantize.scheme).require_extra(name)
    if recipe.explain.simulator:
        require_toolkit(recipe.toolkit.toolkit_python)
