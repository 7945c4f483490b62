"""Nodes without effect that ONNX Runtime leaves: casts to the same type, and parts of no size."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, numpy_helper

from ..bodies.body_builder import facts_of
from ..graphs.constants import named_constants
from ..graphs.graph import attributes, drop_unread, free_name, read_by


def drop_without_effect(model: ModelProto) -> None:
    """Make a Cast to the same type an Identity, and join no part that is empty, in place.

    An output is such a Cast of another. Of a Split with an empty part rknn-toolkit2 2.5.0 makes
    constants.
    """
    _pass_on_same_types(model)
    _drop_empty_parts(model)


def _pass_on_same_types(model: ModelProto) -> None:
    casts = [node for node in model.graph.node if node.op_type == "Cast"]
    types = facts_of(model).types if casts else {}
    for node in casts:
        if types.get(node.input[0]) == attributes(node)["to"]:
            _make_identity(node)


def _drop_empty_parts(model: ModelProto) -> None:
    constants = dict(named_constants(model))
    for node in model.graph.node:
        if node.op_type != "Split" or len(node.input) < 2 or node.input[1] not in constants:
            continue
        sizes = numpy_helper.to_array(constants[node.input[1]])
        empty = [name for name, size in zip(node.output, sizes, strict=True) if not size]
        gone = [name for name in empty if _leaves_joins(model, name)]
        if not gone:
            continue
        rest = [place for place, name in enumerate(node.output) if name not in gone]
        name = free_name(f"{node.output[rest[0]]}.sizes", constants)
        tensor = numpy_helper.from_array(np.array(sizes[rest]), name)
        model.graph.initializer.append(tensor)
        node.input[1], node.output[:] = name, [node.output[place] for place in rest]
        constants[name] = tensor
    drop_unread(model)


def _leaves_joins(model: ModelProto, name: str) -> bool:
    """Take a tensor out of all that reads it; False where that is anything but a Concat."""
    readers = [node for node in model.graph.node if name in read_by(node)]
    if any(name == value.name for value in model.graph.output) or not all(
        node.op_type == "Concat" and {*node.input} != {name} for node in readers
    ):
        return False
    for node in readers:
        node.input[:] = [source for source in node.input if source != name]
        if len(node.input) == 1:
            _make_identity(node)
    return True


def _make_identity(node: NodeProto) -> None:
    node.op_type = "Identity"
    del node.attribute[:]
