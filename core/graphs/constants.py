"""The constants of a model as its file has them: initializers, and Constant nodes."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import GraphProto, ModelProto, SparseTensorProto, TensorProto, helper

from .graph import all_nodes, graphs_in, refill


def named_constants(model: ModelProto) -> Iterator[tuple[str, TensorProto]]:
    """Yield name and tensor of every initializer and Constant node (Paddle writes those)."""
    yield from constants_of(model.graph)


def constants_of(graph: GraphProto) -> Iterator[tuple[str, TensorProto]]:
    """Yield the same of one graph, without those inside its nodes."""
    for tensor in graph.initializer:
        yield tensor.name, tensor
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
            yield node.output[0], node.attribute[0].t


def all_tensors(model: ModelProto) -> list[TensorProto]:
    """Return every constant: initializers, and those in nodes, at any depth, sparse ones too."""
    tensors: list[TensorProto] = []
    sparse: list[SparseTensorProto] = []
    for graph in graphs_in(model.graph):
        tensors += graph.initializer
        sparse += graph.sparse_initializer
    for node in all_nodes(model):
        for attribute in node.attribute:
            tensors += [attribute.t] if attribute.HasField("t") else attribute.tensors
            is_one = attribute.HasField("sparse_tensor")
            sparse += [attribute.sparse_tensor] if is_one else attribute.sparse_tensors
    return tensors + [part for both in sparse for part in (both.values, both.indices)]


def with_external_fed(model: ModelProto) -> ModelProto:
    """Return what ONNX's checker takes without external data: a copy that is fed what is there."""
    external = [t for t in model.graph.initializer if t.data_location == TensorProto.EXTERNAL]
    if not external:
        return model
    fed = ModelProto()
    fed.CopyFrom(model)
    own = (t for t in fed.graph.initializer if t.data_location != TensorProto.EXTERNAL)
    refill(fed.graph.initializer, own)
    for tensor in external:
        value = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        fed.graph.input.append(value)
    return fed
