"""What ``rockpress quantize`` calls: one model quantized to a file, with its plan beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..accuracy.compare import Comparison
from ..convert.chips.targets import require_dtype
from ..core.diagnostics import Diagnostic, in_order
from ..core.files import staging
from ..core.graphs.model import model_bytes
from ..core.progress import SILENT, Progress
from ..core.results.model_figures import QuantizationFigure
from ..quantize.quantize import QuantizeResult
from ..quantize.schemes import find_scheme
from .family_cut import with_family_cut
from .figures.quantization_figure import quantization_figure
from .figures.result_warnings import look_warnings
from .filled_recipe import fill_recipe
from .output_files import require_output
from .recipes.recipe import Recipe, only_target
from .samples.input_sets import require_one_shape
from .samples.ready_model import logits_at_end, open_calibrated
from .tasks.converting import toolkit_settings
from .tasks.first_look import first_look
from .tasks.quantization_training import require_training
from .tasks.quantizing import (
    QuantizeTask,
    quantize_as,
    quantize_task,
    quantize_warnings,
    require_extras,
)

if TYPE_CHECKING:
    from ..quantize.error_report import TensorError


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


def quantize_file(recipe: Recipe, output: Path, progress: Progress = SILENT) -> Quantized:
    """Quantize ``recipe.model`` to ``output``, the plan beside it. Raises RockpressError.

    As ``recipe.explain`` asks, the error of every tensor is measured too, also in the RKNN
    simulator.
    """
    require_one_shape(recipe.shape, "quantize")
    filled = fill_recipe(recipe, "quantize", progress)
    recipe = filled.recipe
    require_extras(recipe.quantize, recipe.explain)
    require_training(recipe.quantize)
    if recipe.explain.simulator:
        from .tasks.installed_toolkit import require_toolkit

        require_toolkit(recipe.toolkit.toolkit_python)
    target = only_target(recipe, "quantize")
    require_dtype(target, find_scheme(recipe.quantize.scheme).name)
    require_output(output, ".onnx", recipe.model)
    ready, calib, sample_warnings = open_calibrated(recipe, "quantization", progress)
    progress.stage("quantize")
    logits = logits_at_end(ready, recipe.shape)
    model = ready.model
    del ready  # which has the model as it was, too
    task = quantize_task(model, calib, recipe, target, logits)
    toolkit = toolkit_settings(recipe.toolkit)
    with staging(output.parent) as folder:
        staged = folder / output.name
        plan = staged.with_suffix(".plan.toml")
        result = quantize_as(task, staged, plan, progress, toolkit, recipe.cache)
        comparison = first_look(model, staged, calib, recipe.run.seed)
        errors = _tensor_errors(recipe, task, result, progress)
        size = model_bytes(staged)
    result = replace(result, path=output, plan_path=output.with_name(plan.name))
    return Quantized(
        result,
        model_bytes(recipe.model),
        size,
        comparison,
        quantization_figure(result),
        in_order(
            (
                *sample_warnings,
                *with_family_cut(quantize_warnings(recipe.quantize, result, calib), filled.family),
                *look_warnings(comparison, recipe.samples.calib_count),
            )
        ),
        errors,
    )


def _tensor_errors(
    recipe: Recipe, task: QuantizeTask, result: QuantizeResult, progress: Progress
) -> tuple[TensorError, ...]:
    """Return what was asked for of the errors of a result.

    What that needs is imported here, as the toolkit's room is for the simulator alone.
    """
    if not (recipe.explain.explain or recipe.explain.simulator):
        return ()
    from .tasks.explain import errors_of

    errors = errors_of(task.model, result, task.calib, task.seed, progress)
    if not recipe.explain.simulator:
        return errors
    from .tasks.simulated_errors import with_simulator

    progress.stage("simulate")
    return with_simulator(errors, task, result, recipe, progress)
