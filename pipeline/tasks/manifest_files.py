"""The manifest of a ``.rknn``: which files it can be rebuilt from, and how to feed it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from onnx import ModelProto

from ...accuracy.metrics.metric_table import BoundMetric
from ...calibration_data.preprocess import Preprocess
from ...calibration_data.samples import Samples
from ...convert.convert import Conversion
from ...convert.manifest import (
    RKNN_DIGEST,
    CalibrationRecord,
    Manifest,
    manifest_of,
    manifest_path,
    write_manifest,
)
from ...core.files import sha256_of
from ...core.graphs.model import save_model
from ...core.passes.prepare import fixed_input_shapes, output_shapes_of
from ...core.results.layer_rows import Feed, FeedInput, FeedOutput
from ...core.results.reading import Reading
from ...core.types import Shape
from ...quantize.quantize import QuantizeResult
from ...quantize.rendering.plan import Plan
from .output_reading import reading_of

_PLANNED = ("qdq", "hybrid")


def write_manifest_beside(
    rknn: Path,
    conversion: Conversion,
    model: ModelProto,
    preprocess: Preprocess | None,
    quantized: QuantizeResult | None,
    digests: Mapping[str, str],
    classes: tuple[str, ...] = (),
    scoring: BoundMetric | None = None,
    calibration: CalibrationRecord | None = None,
) -> Manifest:
    """Write the manifest beside ``rknn`` and return it.

    ``model`` is the prepared float model. When our own QDQ model is what was converted, the
    manifest names that and its plan; else the float model is kept beside the ``.rknn`` for it.
    ``classes`` are the names of the model's classes, ``scoring`` the metric that reads the outputs.
    """
    plan = quantized.plan if quantized else None
    feed = Feed(
        feed_inputs(fixed_input_shapes(model), preprocess),
        feed_outputs(model, plan, conversion.quantization),
        classes,
    )
    if quantized is not None and conversion.quantization == "qdq":
        files = {"intended": quantized.path, "plan": quantized.plan_path}
    else:
        files = {"model": rknn.with_suffix(".prepared.onnx")}
        save_model(model, files["model"])
        if quantized is not None and conversion.quantization == "hybrid":
            files["plan"] = quantized.plan_path
    manifest = manifest_of(
        conversion,
        rknn.parent,
        files=files,
        digests={**digests, RKNN_DIGEST: sha256_of(rknn)},
        feed=feed,
        reading=_reading(feed, scoring),
        calibration=calibration,
    )
    write_manifest(manifest, manifest_path(rknn))
    return manifest


def calibration_record(calib: Samples | None, seed: int) -> CalibrationRecord | None:
    """Return what the manifest says of the calibration samples, None where there are none."""
    return None if calib is None else CalibrationRecord(len(calib), seed)


def _reading(feed: Feed, scoring: BoundMetric | None) -> Reading:
    if scoring is None:
        return Reading(outputs=tuple(range(len(feed.outputs))))
    return reading_of(scoring, {output.name: output.shape for output in feed.outputs})


def feed_inputs(
    inputs: Mapping[str, Shape], preprocess: Preprocess | None
) -> tuple[FeedInput, ...]:
    """Return an entry for each input: uint8 pixels with mean and std inside, or plain tensors."""
    if preprocess is None:
        return tuple(
            FeedInput(name, "float32", "as the model", shape) for name, shape in inputs.items()
        )
    channels = preprocess.channels
    mean, std = (
        values * channels if len(values) == 1 else values
        for values in (preprocess.mean, preprocess.std)
    )
    shape, pad = (1, *preprocess.size, channels), _pad_of(preprocess)
    color, resize = preprocess.color, preprocess.resize
    return tuple(
        FeedInput(name, "uint8", "NHWC", shape, color, mean, std, resize, pad, "inside")
        for name in inputs
    )


def _pad_of(preprocess: Preprocess) -> tuple[int, ...] | None:
    return None if preprocess.resize in ("stretch", "crop") else preprocess.padding


def feed_outputs(model: ModelProto, plan: Plan | None, quantization: str) -> tuple[FeedOutput, ...]:
    """Return an entry for each output; scales are known when our own plan is what was converted."""
    outputs = []
    for name, shape in output_shapes_of(model).items():
        sizes = tuple(size or 1 for size in shape)
        entry = plan.activations.get(name) if plan and quantization in _PLANNED else None
        if entry is None or entry.dtype != "int8":
            outputs.append(FeedOutput(name, sizes, "float32"))
        else:
            outputs.append(FeedOutput(name, sizes, "int8", entry.scale, entry.zero_point))
    return tuple(outputs)
