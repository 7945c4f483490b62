"""Weights that are stored in fewer bits while activations stay float, as the floats they stand for.

Runtimes for language models store weights of 4 or 8 bits so, in blocks with a scale each, which no
quantizer of activations and no compiler for an NPU reads.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from ..graphs.constants import named_constants
from ..graphs.graph import attributes, drop_unread, free_name, part_of, refill, replace_nodes
from ..graphs.model_checks import ONNX_RUNTIMES
from ..session import Session
from ..types import Array

_BIAS = 5  # among the inputs of a MatMulNBits


def with_float_weights(model: ModelProto) -> ModelProto:
    """Return the model, which may be changed, with such weights as float constants.

    One that quantizes activations too stays as it is. Results are the same. A MatMulNBits of ONNX
    Runtime becomes a MatMul.
    """
    _write_out_products(model)
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
    return bool(_dequantizing(model) or _products(model))


def _dequantizing(model: ModelProto) -> list[NodeProto]:
    """The nodes that turn constants into floats."""
    constants = {name for name, _ in named_constants(model)}
    return [
        node
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and constants.issuperset(filter(None, node.input))
    ]


def _products(model: ModelProto) -> list[NodeProto]:
    """The products with a constant weight of few bits, in an operator of ONNX Runtime's own."""
    constants = {name for name, _ in named_constants(model)}
    return [
        node
        for node in model.graph.node
        if node.op_type == "MatMulNBits"
        and node.domain == ONNX_RUNTIMES
        and constants.issuperset(filter(None, node.input[1:]))
    ]


def _write_out_products(model: ModelProto) -> None:
    taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
    nodes = list(model.graph.node)
    for node in _products(model):
        weight, product = (free_name(f"{node.output[0]}.{p}", taken) for p in ("weight", "product"))
        model.graph.initializer.append(numpy_helper.from_array(_weight(model, node), weight))
        place = next(i for i, own in enumerate(nodes) if own.output == node.output)
        bias = node.input[_BIAS] if len(node.input) > _BIAS else ""
        name = product if bias else node.output[0]
        written = [helper.make_node("MatMul", [node.input[0], weight], [name], node.name)]
        if bias:
            written.append(helper.make_node("Add", [name, bias], [node.output[0]]))
        nodes[place : place + 1] = written
    replace_nodes(model.graph, nodes)
    drop_unread(model)


def _weight(model: ModelProto, node: NodeProto) -> Array:
    """Return the weight (K, N) of a MatMulNBits in floats: what it makes of the unit matrix."""
    constants = dict(named_constants(model))
    single = NodeProto()
    single.CopyFrom(node)
    single.input[:] = ["unit", *node.input[1:_BIAS]]
    # a level of accuracy would round the unit matrix
    refill(single.attribute, [own for own in node.attribute if own.name != "accuracy_level"])
    tensors = []
    for name in filter(None, single.input[1:]):
        tensors.append(TensorProto.FromString(constants[name].SerializeToString()))
        tensors[-1].name = name
    kind = constants[node.input[2]].data_type
    settings = attributes(node)
    unit = helper.make_tensor_value_info("unit", kind, [settings["K"]] * 2)
    weight = helper.make_tensor_value_info(node.output[0], kind, [settings["K"], settings["N"]])
    part = ModelProto()
    part.CopyFrom(model)
    part.graph.CopyFrom(helper.make_graph([single], "weight", [unit], [weight], tensors))
    eye = np.eye(settings["K"], dtype=helper.tensor_dtype_to_np_dtype(kind))
    value: Array = Session(part, optimise=False).run({"unit": eye})[0]
    return value
