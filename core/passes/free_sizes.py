"""Reshapes that follow the shape of their input, where preparing has fixed what follows from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import ModelProto, NodeProto, numpy_helper

from ..graphs.graph import (
    Graph,
    attributes,
    constant_value,
    drop_unread,
    free_name,
    replace_nodes,
    set_attribute,
)
from ..types import Array

_FLATTENED = ("Softmax", "Flatten")


def with_free_sizes(model: ModelProto, others: Sequence[ModelProto]) -> ModelProto:
    """Return a copy whose Reshapes take the shapes of ``others`` too, where they can.

    Those are the same model prepared in other shapes; where its nodes are others then, nothing is
    changed. A size that differs becomes 0, that of the input, or -1, whatever is left.
    """
    graphs = [Graph(_without_flattening(part)) for part in (model, *others)]
    copy = graphs[0].model
    operators = [[node.op_type for node in graph.nodes] for graph in graphs]
    if any(types != operators[0] for types in operators):
        return copy
    names = set(graphs[0].names)
    for nodes in zip(*(graph.nodes for graph in graphs), strict=True):
        sizes = _free_sizes(graphs, nodes) if nodes[0].op_type == "Reshape" else None
        if sizes is not None:
            name = free_name(f"{nodes[0].output[0]}/sizes", names)
            names.add(name)
            copy.graph.initializer.append(numpy_helper.from_array(sizes, name))
            nodes[0].input[1] = name
    drop_unread(copy)
    return copy


def _without_flattening(model: ModelProto) -> ModelProto:
    """Return a copy with each Softmax over the last axis alone.

    Raising it from an opset before 13 may put a Flatten before it and a Reshape behind it.
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    graph, dropped = Graph(copy), set()
    for last in graph.nodes:
        chain = _flattened(graph, last) if last.op_type == "Reshape" else None
        if chain is not None:
            first, softmax = chain
            dropped.add(first.output[0])
            softmax.input[0], softmax.output[0] = first.input[0], last.output[0]
            set_attribute(softmax, "axis", -1)
            last.output[0] = first.output[0]  # so that both go
    left = [node for node in copy.graph.node if node.output[0] not in dropped]
    replace_nodes(copy.graph, left)
    return copy


def _flattened(graph: Graph, last: NodeProto) -> tuple[NodeProto, NodeProto] | None:
    """Return the Flatten and the Softmax before a Reshape that undoes the former."""
    softmax = graph.producers.get(last.input[0])
    first = graph.producers.get(softmax.input[0]) if softmax is not None else None
    if softmax is None or first is None or (softmax.op_type, first.op_type) != _FLATTENED:
        return None
    shape = graph.shapes.get(first.input[0], ())
    alone = all(len(graph.consumers.get(node.output[0], ())) == 1 for node in (first, softmax))
    is_last = attributes(first).get("axis", 1) in (-1, len(shape) - 1)
    over_last = attributes(softmax).get("axis", -1) in (-1, 1)
    same = shape == graph.shapes.get(last.output[0])
    return (first, softmax) if alone and is_last and over_last and same else None


def _free_sizes(graphs: Sequence[Graph], nodes: Sequence[NodeProto]) -> Array | None:
    """Return sizes for a Reshape that are right in every graph; None where they are, or cannot."""
    pairs = list(zip(graphs, nodes, strict=True))
    sizes = [constant_value(graph, node, 1) for graph, node in pairs]
    fixed = [value for value in sizes if value is not None]
    if len({value.shape for value in fixed}) != 1 or len(fixed) < len(sizes):
        return None
    differing = np.flatnonzero((np.stack(fixed) != fixed[0]).any(axis=0))
    shapes = [graph.shapes.get(node.input[0], ()) for graph, node in pairs]
    free = np.array(fixed[0], np.int64)
    copied = attributes(nodes[0]).get("allowzero", 0) == 0
    for axis in differing:
        same = all(
            shape[axis : axis + 1] == (value[axis],)
            for shape, value in zip(shapes, fixed, strict=True)
        )
        free[axis] = 0 if same and copied else -1
    return free if len(differing) and np.count_nonzero(free == -1) < 2 else None
