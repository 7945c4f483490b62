"""What each tensor of a quantized model has lost in the RKNN simulator.

For that the model is built once more, with every quantized tensor among its outputs. So they are
stored, and layers that level 3 would join with an addition are not; their numbers are those of the
toolkit all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from onnx import ModelProto

from ...calibration_data.samples import Samples
from ...convert.convert import convert
from ...core.diagnostics import option
from ...core.errors import OptionError
from ...core.graphs.model import load_model
from ...core.progress import Progress
from ...core.scratch import scratch_folder
from ...core.similarity import RunningSqnr
from ...core.streaming.tensor_stream import stream
from ...core.types import Array
from ...quantize.error_report import TensorError
from ...quantize.integer.equalize import as_planned
from ...quantize.quantize import QuantizeResult
from ...quantize.rendering.qdq import dequantized_names
from ..recipes.recipe import Recipe
from .converting import NpuFeeds, conversion_request
from .held_out import held_out
from .inner_outputs import write_with_outputs
from .plan_handover import is_hybrid
from .quantizing import QuantizeTask

# every tensor of every sample is on disk for a while, and the simulator takes seconds for each
_SIMULATED_SAMPLES = 8


def with_simulator(
    errors: Sequence[TensorError],
    task: QuantizeTask,
    result: QuantizeResult,
    recipe: Recipe,
    progress: Progress,
) -> tuple[TensorError, ...]:
    """Return the errors, those of activations with what is accumulated in the simulator.

    ``result`` is what came of ``task``. On up to eight of the samples that are held out.
    Raises OptionError for a plan that no QDQ model carries, ToolkitError where nothing is built.
    """
    if is_hybrid(result.plan):
        raise OptionError(
            "the simulator's errors are measured on a QDQ model, and this plan has int16",
            f"leave {option('simulator')} out, or use {option('mixed', 'off')}",
        )
    _, unseen = held_out(task.calib, task.seed)
    samples = (task.calib if unseen is None else unseen).take(_SIMULATED_SAMPLES, task.seed)
    samples = samples.grouped()
    activations = [error.name for error in errors if error.kind == "activation"]
    names = [name for name in activations if name not in task.calib.inputs]
    quantized = load_model(result.path)
    with scratch_folder() as folder:
        file = folder / f"{recipe.model.stem}.onnx"
        dequantized = dequantized_names(quantized)
        positions = write_with_outputs(quantized, [dequantized[name] for name in names], file)
        preprocess = samples.npu_preprocess
        request = conversion_request(recipe.toolkit, file, None, task.target, preprocess)
        conversion = convert(replace(request, simulate=NpuFeeds(samples)), progress)
        outputs = conversion.outputs or []
        simulated = {name: outputs[positions[dequantized[name]]] for name in names}
        sqnrs = _accumulated(as_planned(task.model, result.plan), simulated, samples)
    return tuple(
        replace(error, simulated_db=sqnrs[error.name])
        if error.kind == "activation" and error.name in sqnrs
        else error
        for error in errors
    )


def _accumulated(
    floating: ModelProto, simulated: Mapping[str, Array], samples: Samples
) -> dict[str, float]:
    """Return tensor -> SQNR in dB of the simulator's values (samples first) to the float's."""
    running = {name: RunningSqnr() for name in simulated}
    indices = iter(range(len(samples)))

    def take(values: Mapping[str, Array]) -> None:
        index = next(indices)
        for name, sums in running.items():
            value = simulated[name][index].reshape(values[name].shape)
            sums.add([values[name]], [value])

    stream(floating, list(running), samples, take)
    return {name: sums.db for name, sums in running.items()}
