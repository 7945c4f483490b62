"""ONNX to RKNN for one target, with what the compiler and the simulator say about the result."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from ..core.diagnostics import Diagnostic, in_order, option
from ..core.errors import OptionError
from ..core.files import replacing, require_writable
from ..core.graphs.model import is_qdq, load_model
from ..core.progress import SILENT, Progress
from ..core.results.model_figures import LatencyScale
from ..core.scratch import scratch_folder
from .audit.cpu_layers import cpu_warnings
from .build_attempt import BuildAttempt
from .chips.compiler_log import Layer, log_of_largest, parse_layers, parse_memory
from .chips.sparse_layers import sparse_layers, sparse_warnings
from .chips.targets import find_target
from .compiled_model import CompiledModel
from .fallbacks import build_or_fall_back
from .fidelity import PROBES, UNKNOWN, Closeness, Probe, noise
from .float_source import float_source
from .handover import ModelInput, Sample, inputs_of, write_dataset, write_samples
from .latency.estimate import LayerCost, estimate
from .latency.scaled import costs_scaled, estimate_scaled, scale_warnings
from .request import ConversionRequest, choose_quantization
from .toolkit.job import BuildResult
from .toolkit.own_settings import require_free_settings
from .toolkit_build import ToolkitBuild


@dataclass(frozen=True, kw_only=True)
class Conversion(CompiledModel):
    """One finished conversion.

    ``path`` is None when no file was asked for; ``bytes`` is the size of the .rknn all the same,
    ``bytes_before`` that of the model that a command was given, None where it was given none.
    ``outputs`` holds one float32 array for each model output, (samples, ...) without the model's
    own batch axis of 1, mapped from a file that is already gone; None when ``simulate`` was.
    ``closeness`` is that of the first samples, whatever they were taken from.
    """

    path: Path | None
    bytes: int
    outputs: list[NDArray[np.float32]] | None = field(repr=False)
    warnings: tuple[Diagnostic, ...]
    seconds: float
    closeness: Closeness = UNKNOWN
    bytes_before: int | None = None


def convert(request: ConversionRequest, progress: Progress = SILENT) -> Conversion:
    """Convert a model as asked for, and simulate samples on the way.

    Raises ToolkitError, OptionError, ModelError, SamplesError or OutputError.
    """
    started = time.monotonic()
    require_free_settings(request.config)
    chip = find_target(request.target)
    loaded = load_model(request.model)
    chosen, dtype = choose_quantization(loaded, request.quantization, request.dtype, chip)
    sparse = sparse_layers(loaded, chip, dtype)
    inputs = inputs_of(loaded, request.mean, request.std)
    _require_single(inputs, request.rknn_batch_size)
    quantized = is_qdq(loaded)
    if chosen == "hybrid" and request.plan is None and not quantized:
        raise OptionError(
            f"{option('route', 'hybrid')} needs the ranges of a plan, or a quantized (QDQ) model",
            f"give one with {option('plan', 'FILE')}",
        )
    if chosen == "hybrid" and request.input_sets:
        raise OptionError(
            f"{option('input')} has several shapes, which the toolkit forgets in the hybrid way "
            f"({option('route', 'hybrid')}, and layers of int16 in {option('mixed')})",
            "leave that out, or give one shape",
        )
    if request.output is not None:
        require_writable(request.output.parent)
    with scratch_folder() as folder:
        samples = _write_samples(request, chosen, loaded, inputs, folder)
        source = None
        if quantized and (request.float_model or samples.calibrated):
            source = float_source(loaded, request.float_model, request.plan, inputs, folder)
        task = ToolkitBuild(
            model=request.model,
            loaded=loaded,
            target=chip,
            quantization=chosen,
            dtype=dtype,
            plan=request.plan,
            level=request.level,
            inputs=inputs,
            calibrated=samples.calibrated,
            simulated=samples.simulated,
            folder=folder,
            toolkit=request.toolkit,
            progress=progress,
            disabled=request.disabled,
            config=request.config,
            sparse=bool(sparse) if request.sparse is None else request.sparse,
            batch=request.rknn_batch_size,
            input_sets=request.input_sets,
        )
        probe = Probe(loaded, source, inputs, folder, samples.simulated, is_noise=samples.is_noise)
        attempt = build_or_fall_back(task, probe, source)
        size = _keep(attempt.result, request.output)
    seconds = time.monotonic() - started
    conversion = _described(attempt, request.output, size, seconds)
    if not samples.requested:
        conversion = replace(conversion, outputs=None)  # what was simulated was a probe
    lost = sparse_warnings(sparse, conversion.layers) if conversion.sparse else ()
    return replace(conversion, warnings=(*conversion.warnings, *lost))


def with_scale(conversion: Conversion, scale: LatencyScale | None) -> Conversion:
    """Return the conversion with its latency estimated anew, at the scale of measured models.

    A scale that is hard to believe is among the warnings.
    """
    if scale is None:
        return conversion
    chip, toolkit = find_target(conversion.target), conversion.toolkit
    latency = estimate_scaled(conversion.layers, chip, toolkit, scale)
    warnings = in_order((*conversion.warnings, *scale_warnings(scale)))
    return replace(conversion, latency=latency, warnings=warnings)


def costs_of(built: CompiledModel) -> tuple[LayerCost, ...]:
    """Return what every layer takes, in their order, at the scale of the latency."""
    scale = built.latency.scale if built.latency else None
    return costs_scaled(built.layers, find_target(built.target), built.toolkit, scale)


def _require_single(inputs: Sequence[ModelInput], size: int) -> None:
    """Raise OptionError where a batch is asked for of a model that takes one already."""
    for tensor in inputs:
        if size > 1 and tensor.shape[:1] != (1,):
            raise OptionError(
                f"{option('rknn-batch-size', size)} is for a model with a batch of 1, but "
                f"{tensor.name!r} has the shape {tensor.shape}",
                "leave it out, or export the model with a batch of 1 or a free one",
            )


@dataclass(frozen=True)
class _WrittenSamples:
    """Samples in the job folder: to calibrate with, to simulate as requested, to simulate at all.

    Where none are requested, a few calibration samples or made up ones (noise) are simulated.
    """

    calibrated: int
    requested: int
    simulated: int
    is_noise: bool


def _write_samples(
    request: ConversionRequest,
    chosen: str,
    loaded: ModelProto,
    inputs: tuple[ModelInput, ...],
    folder: Path,
) -> _WrittenSamples:
    first, calibration = _first(request.calibration)
    requested = write_samples(request.simulate or (), inputs, folder)
    is_noise = chosen == "qdq" and not first and not requested
    probes = noise(loaded, inputs, PROBES) if is_noise else first
    simulated = requested or write_samples(probes if request.probe else (), inputs, folder)
    calibrated = _calibrate(chosen, calibration, inputs, folder)
    return _WrittenSamples(calibrated, requested, simulated, is_noise)


def _first(samples: Iterable[Sample]) -> tuple[list[Sample], Iterable[Sample]]:
    """The first samples, and all of them: they may be readable only once."""
    rest = iter(samples)
    first = list(islice(rest, PROBES))
    return first, chain(first, rest)


def _keep(built: BuildResult, output: Path | None) -> int:
    """Copy the .rknn out of the job folder when it is wanted; return its size in bytes."""
    if output is not None:
        with replacing(output) as temporary:
            shutil.copyfile(built.rknn, temporary)
    return built.rknn.stat().st_size


def _described(attempt: BuildAttempt, output: Path | None, size: int, seconds: float) -> Conversion:
    built, chip = attempt.result, attempt.task.target
    log = log_of_largest(built.log, len(attempt.task.input_sets))
    layers = parse_layers(log)
    return Conversion(
        path=output,
        bytes=size,
        target=chip.name,
        toolkit=built.toolkit,
        quantization=attempt.task.quantization,
        layers=layers,
        memory=parse_memory(log),
        cycles=sum(layer.total_cycles for layer in layers),
        latency=estimate(layers, chip, built.toolkit),
        closeness=attempt.closeness,
        level=attempt.task.level or 0,
        dtype=attempt.task.dtype,
        sparse=attempt.task.sparse,
        rknn_batch_size=attempt.task.batch,
        input_sets=attempt.task.input_sets,
        disabled=built.disabled,
        config=attempt.task.config,
        outputs=built.outputs,
        warnings=(*attempt.warnings, *_table_warnings(layers, log, attempt.task.loaded)),
        seconds=seconds,
    )


def _calibrate(
    chosen: str,
    calibration: Iterable[Sample],
    inputs: tuple[ModelInput, ...],
    folder: Path,
) -> int:
    """Write the calibration samples if the toolkit may come to need them; return how many."""
    if chosen == "float16":
        return 0
    count = write_dataset(calibration, inputs, folder)
    if not count and chosen != "qdq":
        raise OptionError(
            f"{chosen} needs calibration samples, and there are none",
            f"give a folder of samples with {option('calib')}",
        )
    return count


def _table_warnings(layers: tuple[Layer, ...], log: str, model: ModelProto) -> Iterator[Diagnostic]:
    if not layers:
        text = "the compiler's log holds no layer table, so there are no cycles and no latency"
        yield Diagnostic("toolkit-layer-table", text, "use a known toolkit version")
    yield from cpu_warnings(layers, log, model)
