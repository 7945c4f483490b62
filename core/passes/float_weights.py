"""Weights that are stored in fewer bits while activations stay float, as the floats they stand for.

Runtimes for language models store weights of 4 or 8 bits so, in blocks with a scale each, which no
quantizer of activations and no compiler for an NPU reads.
"""

from __future__ import annotations

from onnx import ModelProto, NodeProto, numpy_helper

from ..graphs.constants import named_constants
from ..graphs.graph import drop_unread, part_of, replace_nodes
from ..session import Session


def with_float_weights(model: ModelProto) -> ModelProto:
    """Return the model, which may be changed, with such weights as float constants.

    One that quantizes activations too stays as it is. Results are the same.
    """
    nodes = _dequantizing(model)
    if not nodes or any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        return model
    names = [node.output[0] for node in nodes]
    sources = [node for node in model.graph.node if node.op_type == "Constant"]
    part = part_of(model, [*sources, *nodes], [], names)
    for name, value in zip(names, Session(part, optimise=False).run({}), strict=True):
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    gone = set(names)
    replace_nodes(model.graph, [node for node in model.graph.node if node.output[0] not in gone])
    drop_unread(model)
    return model


def stores_few_bits(model: ModelProto) -> bool:
    """Return whether a model has weights that are stored in fewer bits than a float has."""
    return bool(_dequantizing(model))


def _dequantizing(model: ModelProto) -> list[NodeProto]:
    """The nodes that turn constants into floats."""
    constants = {name for name, _ in named_constants(model)}
    return [
        node
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and constants.issuperset(filter(None, node.input))
    ]
