"""What a model must be to be quantized."""

from __future__ import annotations

from collections.abc import Sequence

from onnx import ModelProto, NodeProto

from ..core.errors import ModelError
from ..core.model import is_qdq

_FIRST_PER_CHANNEL_OPSET = 13


def require_quantizable(model: ModelProto, layers: Sequence[NodeProto]) -> None:
    """Raise ModelError for a model that is quantized, too old, or has none of these layers."""
    if is_qdq(model):
        raise ModelError("the model is quantized already", "convert it as it is")
    _require_opset(model)
    if not layers:
        raise ModelError(
            "nothing in this model can be quantized: it has no convolution or matrix product "
            "with a constant float32 weight",
            "convert it in float16: rockpress run --quantize off",
        )


def _require_opset(model: ModelProto) -> None:
    versions = (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    opset = next(versions, 1)
    if opset < _FIRST_PER_CHANNEL_OPSET:
        raise ModelError(
            f"the model has opset {opset}; scales per channel need opset 13 or later",
            "export the model with opset 13 to 19",
        )
