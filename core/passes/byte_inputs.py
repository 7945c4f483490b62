"""Inputs of bytes become inputs of floats, where the graph begins by making floats of them.

Exports that have the normalisation inside take uint8 pixels and cast them first. The NPU's compiler
has no such cast, but takes pixels anyway, so without it the model can be built and fed: with values
of 0 to 255.
"""

from __future__ import annotations

from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

from ..graphs.graph import attributes, fed_inputs, inner_graphs, read_by

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
# what moves values without computing any
_MOVING = {
    *("Identity", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Split"),
    *("Gather", "SpaceToDepth", "DepthToSpace"),
}


def take_floats(model: ModelProto) -> None:
    """Make uint8 inputs that are only moved and then cast to floats float32, in place.

    The results for whole numbers of 0 to 255 are the same. Other integers, such as indices of
    tokens, stay what they are.
    """
    for value in fed_inputs(model.graph):
        if value.type.tensor_type.elem_type != TensorProto.UINT8:
            continue
        casts = _casts_of(model, value)
        if casts:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
        for cast in casts or ():
            if attributes(cast)["to"] == TensorProto.FLOAT:
                cast.op_type = "Identity"
                del cast.attribute[:]


def _casts_of(model: ModelProto, value: ValueInfoProto) -> list[NodeProto] | None:
    """Return the casts to floats that all of an input ends in; None where something else reads it.

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
            if node.op_type == "Cast" and attributes(node)["to"] in _FLOATS:
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
