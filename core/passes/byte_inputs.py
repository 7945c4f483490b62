"""Inputs of bytes become inputs of floats, where the graph begins by making floats of them.

Exports that have the normalisation inside take uint8 pixels and cast them first. The NPU's compiler
has no such cast, but takes pixels anyway, so without it the model can be built and fed: with values
of 0 to 255.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from ..graphs.constants import named_constants
from ..graphs.graph import (
    attributes,
    fed_inputs,
    free_name,
    inner_graphs,
    read_by,
)
from ..types import Array

_BYTES = (TensorProto.UINT8, TensorProto.INT8)
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
# what moves values without computing any
_MOVING = {
    *("Identity", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Split"),
    *("Gather", "SpaceToDepth", "DepthToSpace"),
}


def take_floats(model: ModelProto) -> None:
    """Make inputs of bytes that are only moved and then made floats float32, in place.

    A Cast makes floats of them, or a DequantizeLinear with one constant scale where nothing else is
    quantized. The results for whole numbers of the old range are the same. Other integers, such as
    indices of tokens, stay what they are.
    """
    scales = _scales(model)
    for value in fed_inputs(model.graph):
        if value.type.tensor_type.elem_type not in _BYTES:
            continue
        casts = _casts_of(model, value, scales)
        if casts:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
        for cast in casts or ():
            if cast.op_type == "DequantizeLinear":
                _scale_floats(model, cast, *scales[cast.output[0]])
            elif attributes(cast)["to"] == TensorProto.FLOAT:
                cast.op_type = "Identity"
                del cast.attribute[:]


def _scales(model: ModelProto) -> dict[str, tuple[Array, Array]]:
    """Return the scale and the zero point of what one constant scale makes floats, by its name."""
    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        return {}
    constants = dict(named_constants(model))
    scales = {}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and constants.keys() >= {*node.input[1:]}:
            values = [numpy_helper.to_array(constants[name]) for name in node.input[1:]]
            scale, zero = values[0], values[1] if len(values) > 1 else np.zeros(())
            if scale.size == 1 == zero.size:
                scales[node.output[0]] = scale.reshape(()), zero.reshape(()).astype(scale.dtype)
    return scales


def _scale_floats(model: ModelProto, node: NodeProto, scale: Array, zero: Array) -> None:
    """Put (x - zero) * scale in the place of a DequantizeLinear."""
    taken = {name for own in model.graph.node for name in (*own.input, *own.output)}
    names = [free_name(f"{node.output[0]}/{part}", taken) for part in ("zero", "scale", "centred")]
    for name, value in zip(names, (zero, scale), strict=False):
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    centred = helper.make_node("Sub", [node.input[0], names[0]], [names[2]], names[2])
    place = next(i for i, own in enumerate(model.graph.node) if own.output == node.output)
    node.op_type, node.input[:] = "Mul", [names[2], names[1]]
    del node.attribute[:]
    model.graph.node.insert(place, centred)


def _casts_of(
    model: ModelProto, value: ValueInfoProto, scales: Mapping[str, tuple[Array, Array]]
) -> list[NodeProto] | None:
    """Return what makes floats of all of an input; None where something else reads it.

    A branch or a loop that reads it is something else too.
    """
    given = {output.name for output in model.graph.output}
    pending, casts = [value.name], list[NodeProto]()
    while pending:
        name = pending.pop()
        if name in given:
            return None
        for node in model.graph.node:
            if name not in read_by(node):
                continue
            if (node.op_type == "Cast" and attributes(node)["to"] in _FLOATS) or (
                node.op_type == "DequantizeLinear" and node.output[0] in scales
            ):
                casts.append(node)
            elif _moves(node, name):
                pending += node.output
            else:
                return None
    return casts


def _moves(node: NodeProto, name: str) -> bool:
    """Tell whether a node moves the values of a tensor; one that Gather reads as indices is not."""
    single = list(node.input).count(name) == 1 and node.input[0] == name
    return node.op_type in _MOVING and single and not list(inner_graphs(node))
