"""Quantized models whose Q/DQ nodes are ONNX Runtime's own, which the toolkit cannot read."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import ModelProto, NodeProto, TensorProto

from ..core.diagnostics import option
from ..core.errors import OptionError
from ..core.graphs.model_checks import ONNX_RUNTIMES
from .chips.targets import Target

_FOUR_BITS = ("INT4", "UINT4")
_SIXTEEN_BITS = ("INT16", "UINT16")


def require_standard_quantizers(model: ModelProto, target: Target) -> None:
    """Raise OptionError for a quantized model with operators of ONNX Runtime's own.

    The error is about the node with the fewest bits, then one of 16, then any.
    """
    types = {tensor.name: _type_name(tensor) for tensor in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.domain == ONNX_RUNTIMES]
    for kinds in (_FOUR_BITS, _SIXTEEN_BITS, None):
        for node in nodes:
            kind = _integer_type(node, types)
            if kinds is None or kind in kinds:
                raise OptionError(
                    f"node {node.name or node.output[0]!r} is {ONNX_RUNTIMES}.{node.op_type}"
                    f"{f' of {kind.lower()}' if kind else ''}, which the toolkit cannot read",
                    _hint(kind, target),
                )


def _type_name(tensor: TensorProto) -> str:
    return str(TensorProto.DataType.Name(tensor.data_type))


def _integer_type(node: NodeProto, types: Mapping[str, str]) -> str:
    """Return the type of what is quantized: that of a constant, or of the zero point; "" if none.

    >>> node = NodeProto(op_type="QuantizeLinear", input=["x", "scale", "zero"])
    >>> _integer_type(node, {"scale": "FLOAT", "zero": "INT16"})
    'INT16'
    """
    names = [*node.input[2:3], *node.input[:1]]
    return next((types[name] for name in names if name in types), "")


def _hint(kind: str, target: Target) -> str:
    if kind in _FOUR_BITS and "w4a16" in target.dtypes:
        return f"give the float model, with {option('scheme', 'w4a16')} when it is quantized"
    if kind in _SIXTEEN_BITS and "w8a16" in target.dtypes:
        by_toolkit = f"{option('toolkit-quantizer', 'normal')} {option('scheme', 'w8a16')}"
        return f"give the float model, with {by_toolkit} for activations of 16 bits"
    return "give the float model"
