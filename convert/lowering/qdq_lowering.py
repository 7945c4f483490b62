"""The QDQ model in the form that makes rknn-toolkit2 2.5 compute what the model says.

From version 2.5.0 on the toolkit turns every quantized tensor whose zero points are all 0 (so every
weight) from asymmetric to symmetric, takes the range to be [-128 s, 127 s], and re-rounds it on the
grid 128 s / 127. Versions 2.3.x keep the scales as they are. What the model means is the *intended*
form, which ONNX Runtime evaluates. The *lowered* form exists only to be handed to the toolkit: its
grid is 127 s / 128, so that the toolkit's own change brings the intended one back.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from ...core.graphs.constants import named_constants
from ...core.graphs.graph import drop_unread, replace_nodes
from ...core.types import Array

_RATIO = np.float32(127 / 128)
_EIGHT_BITS = {np.dtype(np.int8): 0, np.dtype(np.uint8): 128}


def lower_qdq(model: ModelProto) -> ModelProto:
    """Return a copy whose symmetric tensors sit on the grid that the toolkit moves back.

    Weights are rounded again, q = round(K * 128 / 127), which is exact for |K| <= 126; symmetric
    activations get the smaller scale; int32 biases become float (29.3 instead of 28.5 dB against
    the intended model on EfficientNet-Lite0, as the toolkit quantizes them itself).
    """
    lowered = ModelProto()
    lowered.CopyFrom(model)
    constants = {name: numpy_helper.to_array(tensor) for name, tensor in named_constants(lowered)}
    graph = lowered.graph
    nodes: list[NodeProto] = []
    for node in graph.node:
        bias = _float_bias(node, constants)
        if bias is None:
            nodes.append(node)
        else:
            graph.initializer.append(numpy_helper.from_array(bias, node.output[0]))
        if node.op_type in {"QuantizeLinear", "DequantizeLinear"} and bias is None:
            graph.initializer.extend(_moved(node, constants))
    replace_nodes(graph, nodes)
    drop_unread(lowered)
    return lowered


def _moved(node: NodeProto, constants: dict[str, Array]) -> list[TensorProto]:
    """Give the node its own, moved scale (and weight); return the new initializers."""
    if not _is_symmetric(node, constants):
        return []
    scale = constants[node.input[1]]
    new = [numpy_helper.from_array((scale * _RATIO).astype(scale.dtype), f"{node.output[0]}/scale")]
    weight = constants.get(node.input[0])
    node.input[1] = new[0].name
    if weight is not None and weight.dtype in _EIGHT_BITS:
        moved = numpy_helper.from_array(_round_again(weight), f"{node.output[0]}/weight")
        node.input[0] = moved.name
        new.append(moved)
    return new


def _round_again(weight: Array) -> Array:
    zero = _EIGHT_BITS[weight.dtype]
    limits = np.iinfo(weight.dtype)
    moved = np.rint((weight.astype(np.float64) - zero) * 128 / 127) + zero
    clipped: Array = np.clip(moved, limits.min, limits.max).astype(weight.dtype)
    return clipped


def _is_symmetric(node: NodeProto, constants: dict[str, Array]) -> bool:
    """Zero points that are all 0 in the toolkit's int8 (128 in uint8), and a constant scale."""
    if node.input[1] not in constants:
        return False
    if len(node.input) < 3 or not node.input[2]:
        value = constants.get(node.input[0])
        # without a zero point QuantizeLinear gives uint8 at 0, which is not symmetric
        return value is not None and value.dtype == np.int8
    zero = constants.get(node.input[2])
    return zero is not None and bool((zero == _EIGHT_BITS.get(zero.dtype, np.nan)).all())


def _float_bias(node: NodeProto, constants: dict[str, Array]) -> Array | None:
    """The value of a DequantizeLinear of a constant int32 (a bias), else None."""
    if node.op_type != "DequantizeLinear":
        return None
    value, scale = constants.get(node.input[0]), constants.get(node.input[1])
    if value is None or scale is None or value.dtype != np.int32:
        return None
    return np.asarray(value * scale.astype(np.float64)).astype(np.float32)
