"""ONNX to RKNN for one target, with what the compiler and the simulator say about the result."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.errors import OptionError
from ..core.files import replacing, require_writable
from ..core.model import load_model
from .attempts import FUSING_LEVEL, Attempt, build_or_fall_back
from .build import ConversionWarning, Request
from .latency import Latency, estimate
from .layer_table import Layer, Memory, parse_layers, parse_memory
from .options import choose_quantization
from .samples import Channels, Input, Sample, inputs_of, write_dataset, write_samples
from .targets import Target, find_target
from .toolkit import Built, Limits, job_folder

_SMALL_COPY = 1 << 16  # elements; some tens of microseconds


@dataclass(frozen=True)
class Conversion:
    """One finished conversion.

    ``path`` is None when no file was asked for; ``bytes`` is the size of the .rknn all the same.
    ``quantization`` is what was done in the end: qdq, float16 or the toolkit's quantizer.
    ``outputs`` holds one float32 array for each model output, (samples, ...) without the model's
    own batch axis of 1, mapped from a file that is already gone; None when nothing was simulated.
    """

    path: Path | None
    bytes: int
    target: str
    toolkit: str
    quantization: str
    layers: tuple[Layer, ...]
    memory: Memory | None
    cycles: int
    latency: Latency | None
    outputs: list[NDArray[np.float32]] | None = field(repr=False)
    warnings: tuple[ConversionWarning, ...]
    seconds: float


def convert(
    model: Path,
    output: Path | None,
    target: str,
    *,
    quantization: str = "auto",
    dtype: str = "w8a8",
    mean: Channels | Mapping[str, Channels] | None = None,
    std: Channels | Mapping[str, Channels] | None = None,
    calibration: Iterable[Sample] = (),
    simulate: Iterable[Sample] | None = None,
    float_model: Path | None = None,
    timeout: float = 1800,
    memory_limit_gb: float = 12,
    toolkit_python: Path | None = None,
    on_progress: Callable[[str], None] = lambda stage: None,
) -> Conversion:
    """Convert ``model`` to ``output`` (nothing is kept when None), and simulate samples on the way.

    ``quantization`` is auto (a QDQ model as it says, any other in float16), float16, qdq, or one of
    the toolkit's own quantizers, which need ``calibration``. With ``mean`` and ``std`` (0..255
    scale) the ``.rknn`` takes pixels, and samples are (1, H, W, C) uint8; without, samples are in
    the model's own shape and type. ``float_model`` is what a QDQ model was made from: should the
    toolkit fail on the QDQ one, the float one is quantized by the toolkit itself, with a warning.
    ``timeout`` (seconds) and the memory limit hold for each attempt.

    Raises ToolkitError, OptionError, ModelError, SamplesError or OutputError.
    """
    started = time.monotonic()
    chip = find_target(target)
    loaded = load_model(model)
    chosen = choose_quantization(loaded, quantization, dtype, chip)
    inputs = inputs_of(loaded, mean, std)
    if output is not None:
        require_writable(output.parent)
    with job_folder() as folder:
        request = Request(
            model=model,
            loaded=loaded,
            target=chip,
            quantization=chosen,
            dtype=dtype,
            level=FUSING_LEVEL,
            inputs=inputs,
            calibrated=_calibrate(chosen, float_model, calibration, inputs, folder),
            simulated=write_samples(simulate or (), inputs, folder),
            folder=folder,
            limits=Limits(timeout, memory_limit_gb),
            python=toolkit_python,
            on_progress=on_progress,
        )
        attempt = build_or_fall_back(request, float_model)
        size = _keep(attempt[0], output)
    return _described(attempt, chip, output, size, time.monotonic() - started)


def _keep(built: Built, output: Path | None) -> int:
    """Copy the .rknn out of the job folder when it is wanted; return its size in bytes."""
    if output is not None:
        with replacing(output) as temporary:
            shutil.copyfile(built.rknn, temporary)
    return built.rknn.stat().st_size


def _described(
    attempt: Attempt, chip: Target, output: Path | None, size: int, seconds: float
) -> Conversion:
    built, quantization, warnings = attempt
    layers = parse_layers(built.log)
    return Conversion(
        path=output,
        bytes=size,
        target=chip.name,
        toolkit=built.toolkit,
        quantization=quantization,
        layers=layers,
        memory=parse_memory(built.log),
        cycles=sum(layer.total_cycles for layer in layers),
        latency=estimate(layers, chip),
        outputs=built.outputs,
        warnings=(*warnings, *_table_warnings(layers)),
        seconds=seconds,
    )


def _calibrate(
    chosen: str,
    float_model: Path | None,
    calibration: Iterable[Sample],
    inputs: tuple[Input, ...],
    folder: Path,
) -> int:
    """Write the calibration samples if the toolkit may come to need them; return how many."""
    if chosen == "float16" or (chosen == "qdq" and float_model is None):
        return 0
    count = write_dataset(calibration, inputs, folder)
    if not count and chosen != "qdq":
        raise OptionError(
            f"{chosen} needs calibration samples, and there are none",
            "give a folder of samples with --calib",
        )
    return count


def _table_warnings(layers: tuple[Layer, ...]) -> tuple[ConversionWarning, ...]:
    if not layers:
        text = "the compiler's log holds no layer table, so there are no cycles and no latency"
        return (ConversionWarning("toolkit-layer-table", text, "use a known toolkit version"),)
    slow = [layer for layer in layers if _is_slow(layer)]
    if not slow:
        return ()
    names = ", ".join(f"{layer.name} ({layer.op})" for layer in slow)
    return (
        ConversionWarning(
            "cpu-fallback-layer",
            f"{len(slow)} of {len(layers)} layers run on the CPU: {names}",
            "replace the operators, or cut the graph before them with --outputs",
        ),
    )


def _is_slow(layer: Layer) -> bool:
    """Runs on the CPU and counts: the Reshape after a Gemm does too, but only copies a little."""
    if layer.runs_on != "CPU" or layer.is_boundary:
        return False
    elements = sum(prod(shape) for shape in layer.output_shapes)
    return layer.op != "Reshape" or elements > _SMALL_COPY
