"""A read-only view of a prepared model's graph: weights as arrays, shapes, makers and users."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, count
from typing import Any

import numpy as np
from onnx import (
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    ValueInfoProto,
    helper,
    numpy_helper,
)

from ..types import Array, Shape


@dataclass(frozen=True)
class Graph:
    """Look-ups over ``model``; built once, never written through.

    ``weights`` maps initializer name -> array; ``shapes`` maps tensor name -> fixed shape, for
    inputs, inner tensors, outputs and initializers alike (a tensor of unknown shape is absent).
    """

    model: ModelProto
    weights: dict[str, Array] = field(init=False)
    shapes: dict[str, Shape] = field(init=False)

    def __post_init__(self) -> None:
        weights = {t.name: numpy_helper.to_array(t) for t in self.model.graph.initializer}
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "shapes", self._known_shapes(weights))

    @property
    def nodes(self) -> list[NodeProto]:
        """The nodes in topological order, as ONNX requires them to be stored."""
        return list(self.model.graph.node)

    @cached_property
    def producers(self) -> dict[str, NodeProto]:
        """Tensor name -> the node that makes it."""
        return {name: node for node in self.nodes for name in node.output if name}

    @cached_property
    def consumers(self) -> dict[str, list[NodeProto]]:
        """Tensor name -> the nodes that read it."""
        readers: dict[str, list[NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in read_by(node):
                readers[name].append(node)
        return dict(readers)

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs that a user feeds."""
        return [value.name for value in self.model.graph.input if value.name not in self.weights]

    @property
    def output_names(self) -> list[str]:
        """Names of the graph outputs."""
        return [value.name for value in self.model.graph.output]

    @cached_property
    def names(self) -> set[str]:
        """Names of all tensors: inputs, weights and what the nodes compute."""
        return {*self.input_names, *self.weights, *self.producers}

    def is_weight(self, name: str) -> bool:
        """Return whether ``name`` is a constant of the graph."""
        return name in self.weights

    def _known_shapes(self, weights: dict[str, Array]) -> dict[str, Shape]:
        graph = self.model.graph
        shapes: dict[str, Shape] = {name: value.shape for name, value in weights.items()}
        for value in [*graph.input, *graph.value_info, *graph.output]:
            dims = value.type.tensor_type.shape.dim
            if value.type.tensor_type.HasField("shape") and all(
                dim.HasField("dim_value") for dim in dims
            ):
                shapes[value.name] = tuple(dim.dim_value for dim in dims)
        return shapes


def opset_of(model: ModelProto) -> int:
    """Return the version of the standard operators that a model is for."""
    return next((own.version for own in model.opset_import if own.domain in ("", "ai.onnx")), 1)


def read_by(node: NodeProto) -> list[str]:
    """Return the names of the tensors that a node, or a graph inside it, reads.

    A loop or a branch reads tensors of the outer graph without naming them as inputs.
    """
    names = [name for name in node.input if name]
    for graph in inner_graphs(node):
        own = {name for inner in graph.node for name in inner.output}
        own |= {value.name for value in graph.input} | {t.name for t in graph.initializer}
        read = [value.name for value in graph.output]
        read += [name for inner in graph.node for name in read_by(inner)]
        names.extend(name for name in read if name not in own)
    return list(dict.fromkeys(names))


def nodes_in(body: GraphProto | FunctionProto) -> Iterator[NodeProto]:
    """Yield every node of a graph or a function, those inside its branches and loops too."""
    for node in body.node:
        yield node
        for graph in inner_graphs(node):
            yield from nodes_in(graph)


def all_nodes(model: ModelProto) -> Iterator[NodeProto]:
    """Yield every node of a model, those of its functions too, at any depth."""
    yield from chain.from_iterable(map(nodes_in, (model.graph, *model.functions)))


def graphs_in(graph: GraphProto) -> Iterator[GraphProto]:
    """Yield the graph, and those inside its branches and loops."""
    yield graph
    for node in nodes_in(graph):
        yield from inner_graphs(node)


def inner_graphs(node: NodeProto) -> Iterator[GraphProto]:
    """Yield the branches of a node, or the body of a loop."""
    for attribute in node.attribute:
        yield from [attribute.g] if attribute.HasField("g") else attribute.graphs


def fed_inputs(graph: GraphProto) -> list[ValueInfoProto]:
    """Return the inputs that a user feeds: older exporters list the weights among them too."""
    initial = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in initial]


def computed_tensors(model: ModelProto) -> list[str]:
    """Return the names of all tensors that the nodes compute, constants left out."""
    nodes = (node for node in model.graph.node if node.op_type != "Constant")
    return [name for node in nodes for name in node.output if name]


def part_of(
    model: ModelProto,
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[str],
) -> ModelProto:
    """Return a model of some ``nodes`` of another one, with the initializers that are read."""
    read = {*outputs, *(name for node in nodes for name in read_by(node))}
    constants = [tensor for tensor in model.graph.initializer if tensor.name in read]
    # without a type: ONNX Runtime infers it, and a wrong guess would be an error
    untyped = [ValueInfoProto(name=name) for name in outputs]
    graph = helper.make_graph(nodes, model.graph.name or "part", inputs, untyped, constants)
    part = helper.make_model(graph, opset_imports=model.opset_import)
    part.ir_version = model.ir_version
    return part


def extract_until(model: ModelProto, tensors: Sequence[str]) -> ModelProto:
    """Return a copy that computes just ``tensors`` (its outputs, in that order) and nothing else.

    The inputs stay as they are, so the same feeds fit.
    """
    needed = set(tensors)
    nodes = []
    for node in reversed(model.graph.node):
        if any(name in needed for name in node.output):
            nodes.append(node)
            needed.update(read_by(node))
    return part_of(model, nodes[::-1], model.graph.input, tensors)


def refill(field: Any, items: Iterable[Any]) -> None:
    """Put ``items``, which may be some of its own, in place of all in a repeated field."""
    remaining = list(items)
    del field[:]
    field.extend(remaining)


def drop_unread(model: ModelProto) -> None:
    """Remove the initializers that nothing reads any more, in place."""
    read = {name for node in model.graph.node for name in read_by(node)}
    read |= {value.name for value in model.graph.output}
    initializers = model.graph.initializer
    refill(initializers, (tensor for tensor in initializers if tensor.name in read))


def replace_nodes(graph: GraphProto, nodes: Iterable[NodeProto]) -> None:
    """Put copies of ``nodes``, which may be the graph's own, in place of all nodes of the graph."""
    refill(graph.node, [NodeProto.FromString(node.SerializeToString()) for node in nodes])


def free_name(name: str, taken: Container[str]) -> str:
    """Return ``name``, with a number behind it when that is ``taken`` already.

    >>> free_name("a", {"a", "a#2"})
    'a#3'
    """
    names = chain([name], (f"{name}#{number}" for number in count(2)))
    return next(candidate for candidate in names if candidate not in taken)


def output_axis(node: NodeProto) -> int:
    """Return the axis of a layer's weight (of two axes or more) that counts its outputs.

    For Conv, ConvTranspose, Gemm and MatMul; a grouped ConvTranspose is taken to be depthwise.
    """
    settings = attributes(node)
    if node.op_type == "ConvTranspose":
        return 1 if settings.get("group", 1) == 1 else 0
    if node.op_type == "Gemm":
        return 0 if settings.get("transB") else 1
    return 1 if node.op_type == "MatMul" else 0


def attributes(node: NodeProto) -> dict[str, Any]:
    """Return a node's attributes by name, as Python values (bytes decoded, lists as lists)."""
    values = {}
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        values[attribute.name] = value.decode() if isinstance(value, bytes) else value
    return values


def constant_value(graph: Graph, node: NodeProto, position: int) -> Array | None:
    """Return the constant input at ``position`` of a node, None if it is absent or computed."""
    if position >= len(node.input) or not node.input[position]:
        return None
    value = graph.weights.get(node.input[position])
    return None if value is None else np.asarray(value)


def set_attribute(node: NodeProto, name: str, value: Any) -> None:
    """Replace an attribute of a node, or add it."""
    others = [attribute for attribute in node.attribute if attribute.name != name]
    refill(node.attribute, [*others, helper.make_attribute(name, value)])
