"""What ``rockpress quantize`` calls: one model quantized to a file, with its plan beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..accuracy.compare import Comparison, compare
from ..accuracy.runners import run_onnxruntime
from ..convert.audit.audit_view import view_of
from ..convert.audit.range_audit import join_warnings
from ..core.diagnostics import Diagnostic
from ..core.graphs.model import load_model, model_bytes
from ..core.progress import SILENT, Progress
from ..core.results.model_figures import QuantizationFigure
from ..quantize.error_report import TensorError
from ..quantize.quantize import QuantizeResult
from .figures.figures_of import quantization_figure
from .inputs import open_calibrated
from .output_files import require_output
from .recipes.recipe import Recipe
from .requirements import only_target
from .tasks.explain import require_extras, tensor_errors
from .tasks.quantizing import quantize_as, quantize_task, quantize_warnings

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


def quantize_file(recipe: Recipe, output: Path, progress: Progress = SILENT) -> Quantized:
    """Quantize ``recipe.model`` to ``output``, the plan beside it. Raises RockpressError.

    As ``recipe.explain`` asks, the error of every tensor is measured too, also in the RKNN
    simulator.
    """
    require_extras(recipe)
    target = only_target(recipe, "quantize")
    require_output(output, ".onnx", recipe.model)
    ready, calib, sample_warnings = open_calibrated(recipe, "quantization", progress)
    progress.stage("quantize")
    task = quantize_task(ready.model, calib, recipe, target)
    result = quantize_as(task, output, output.with_suffix(".plan.toml"), progress)
    samples = calib.take(_LOOK_SAMPLES, recipe.run.seed)
    before = run_onnxruntime(ready.model, samples)
    after = run_onnxruntime(output, samples, optimise=False)
    warnings = (
        *sample_warnings,
        *quantize_warnings(recipe.quantize, result),
        *join_warnings(view_of(load_model(output), None)),
    )
    errors: tuple[TensorError, ...] = ()
    if recipe.explain.explain or recipe.explain.simulator:
        simulated = target if recipe.explain.simulator else None
        errors = tensor_errors(ready.model, result, calib, simulated, recipe, progress)
    return Quantized(
        result,
        model_bytes(recipe.model),
        model_bytes(output),
        compare(before, after, None),
        quantization_figure(result),
        warnings,
        errors,
    )
