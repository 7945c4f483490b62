"""What a model must be to be quantized."""

from __future__ import annotations

from collections.abc import Sequence, Sized

from onnx import ModelProto, NodeProto

from ...core.diagnostics import Diagnostic, option
from ...core.errors import ModelError, SamplesError
from ...core.graphs.model import is_qdq
from ...core.types import Array
from ..numeric.scales import quantize_weight, weight_scales
from .weighted_layers import WeightedLayer

_FIRST_PER_CHANNEL_OPSET = 13
_NAMED = 5


def require_quantizable(model: ModelProto, layers: Sequence[NodeProto]) -> None:
    """Raise ModelError for a model that is quantized, too old, or has none of these layers."""
    if is_qdq(model):
        raise ModelError("the model is quantized already", "convert it as it is")
    _require_opset(model)
    if not layers:
        raise ModelError(
            "nothing in this model can be quantized: it has no convolution or matrix product "
            "with a constant float32 weight",
            f"run it with {option('scheme', 'float16')}",
        )


def require_to_choose_by(held_out: Sized, is_mixed: bool) -> None:
    """Raise SamplesError when mixed precision is asked for, and there is nothing to try it on."""
    if is_mixed and not len(held_out):
        raise SamplesError(
            "mixed precision is chosen by trial, and there are too few calibration samples for it",
            f"give at least ten with {option('calib')}",
        )


def _require_opset(model: ModelProto) -> None:
    versions = (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    opset = next(versions, 1)
    if opset < _FIRST_PER_CHANNEL_OPSET:
        raise ModelError(
            f"the model has opset {opset}; scales per channel need opset 13 or later",
            "export the model with opset 13 to 19",
        )


def _steps(layer: WeightedLayer) -> Array:
    return quantize_weight(layer.weight, weight_scales(layer.weight, layer.axis), layer.axis)


def underflow_warnings(layers: Sequence[WeightedLayer]) -> tuple[Diagnostic, ...]:
    """Return a warning of layers whose weights are all 0 once rounded, though they are not now."""
    lost = [layer for layer in layers if layer.weight.any() and not _steps(layer).any()]
    if not lost:
        return ()
    largest = max(float(abs(layer.weight).max()) for layer in lost)
    names = ", ".join(layer.name for layer in lost[:_NAMED]) + (", ..." if lost[_NAMED:] else "")
    return (
        Diagnostic(
            "weight-underflow",
            f"weights of {largest:.1e} at most are too small for int8, so they are all 0 on the "
            f"chip: those of the layers that make {names}",
            "scale them up and what follows down, or remove these layers",
        ),
    )
