"""Operators that compute in integers: a model that was quantized in another form than QDQ."""

from __future__ import annotations

import re

from onnx import ModelProto

from ..diagnostics import option
from ..errors import ModelError
from .graph import nodes_in

# of ONNX (QLinearConv, ConvInteger, DynamicQuantizeLinear) and of ONNX Runtime (QGemm, ...)
_INTEGER = re.compile(r"Q[A-Z]|DynamicQuantize|\w+Integer")


def require_float_operators(model: ModelProto) -> None:
    """Raise ModelError for the first node that computes in integers, naming it.

    QuantizeLinear and DequantizeLinear do not: between them the operators are those of the float
    model.
    """
    for node in nodes_in(model.graph):
        if _INTEGER.match(node.op_type):
            operator = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
            raise ModelError(
                f"node {node.name or node.output[0]!r} ({operator}) computes in integers: the "
                "model was quantized already, in a form that no later step reads",
                "give the float model, or quantize it in the form QuantFormat.QDQ of ONNX Runtime, "
                f"or end the model before it with {option('outputs')}",
            )
