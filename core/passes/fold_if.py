"""Take the branch of every If whose condition is the same for all inputs of the fixed shapes.

Exporters leave an If where the code looked at a shape (PyTorch's squeeze does), and the branch not
taken is often not even valid for the fixed shapes, so ONNX Runtime refuses the model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, helper

from ..graphs.graph import extract_until, fed_inputs, read_by, replace_nodes
from ..session import Session

_BY_SHAPE = {"Shape", "Size"}  # what they give depends on the shapes alone


def fold_if(model: ModelProto) -> ModelProto:
    """Return a copy without the If nodes that shapes and constants decide.

    The shapes of the inputs must be fixed. A nested If is decided once it has come to the top; one
    that depends on the values of an input stays. The results are the same, bit for bit.
    """
    folded = ModelProto()
    folded.CopyFrom(model)
    while (index := _decided(folded.graph)) is not None:
        node = folded.graph.node[index]
        name = "then_branch" if _is_true(folded, node.input[0]) else "else_branch"
        branches = {attribute.name: attribute.g for attribute in node.attribute}
        _inline(folded.graph, index, branches[name])
    return folded


def deciding_inputs(model: ModelProto) -> dict[str, list[str]]:
    """Return each If that inputs of a single number decide -> these inputs.

    An If is called by its name, or its first output where it has none.
    """
    made_by = {name: node for node in model.graph.node for name in node.output}
    inputs = {value.name: value for value in fed_inputs(model.graph)}
    numbers = {
        name
        for name, value in inputs.items()
        if all(dim.dim_value == 1 for dim in value.type.tensor_type.shape.dim)
    }
    decided_by = {
        node.name or node.output[0]: _inputs_behind(node.input[0], made_by, list(inputs))
        for node in model.graph.node
        if node.op_type == "If"
    }
    return {
        node: names for node, names in decided_by.items() if names and numbers.issuperset(names)
    }


def _decided(graph: GraphProto) -> int | None:
    """The index of the first If whose condition reaches no input but through a shape."""
    made_by = {name: node for node in graph.node for name in node.output}
    fed = [value.name for value in fed_inputs(graph)]
    for index, node in enumerate(graph.node):
        if node.op_type == "If" and not _inputs_behind(node.input[0], made_by, fed):
            return index
    return None


def _inputs_behind(tensor: str, made_by: dict[str, NodeProto], fed: Sequence[str]) -> list[str]:
    """The inputs on whose values a tensor depends, in their order."""
    pending, visited = [tensor], set[str]()
    while pending:
        name = pending.pop()
        if name in visited:
            continue
        visited.add(name)
        node = made_by.get(name)
        if node is not None and node.op_type not in _BY_SHAPE:
            pending.extend(read_by(node))  # its branches may use any tensor
    return [name for name in fed if name in visited]


def _is_true(model: ModelProto, condition: str) -> bool:
    part = extract_until(model, [condition])
    if not part.graph.node:  # an initializer: a session needs a node
        part.graph.node.append(helper.make_node("Identity", [condition], ["decision"]))
        part.graph.output[0].name = "decision"
    feeds = {}
    for value in fed_inputs(part.graph):
        kind = value.type.tensor_type
        shape = [dim.dim_value for dim in kind.shape.dim]
        feeds[value.name] = np.zeros(shape, helper.tensor_dtype_to_np_dtype(kind.elem_type))
    return bool(np.any(Session(part).run(feeds)[0]))


def _inline(graph: GraphProto, index: int, branch: GraphProto) -> None:
    """Put the nodes of a branch where its If is; their own names get the If's output before."""
    outputs = list(graph.node[index].output)
    body = GraphProto()
    body.CopyFrom(branch)
    own = {name for node in body.node for name in node.output if name}
    own |= {tensor.name for tensor in body.initializer}
    _rename(body, {name: f"{outputs[0]}/{name}" for name in own})
    joints = [
        helper.make_node("Identity", [inner.name], [outer], name=f"{outer}/taken")
        for inner, outer in zip(body.output, outputs, strict=True)
    ]
    graph.initializer.extend(body.initializer)
    replace_nodes(graph, [*graph.node[:index], *body.node, *joints, *graph.node[index + 1 :]])


def _rename(graph: GraphProto, names: dict[str, str]) -> None:
    """Rename tensors in a graph and in the graphs inside it, which take them from outside."""
    for value in (*graph.initializer, *graph.output):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.name = ""  # another branch may hold the same name
        for tensors in (node.input, node.output):
            tensors[:] = [names.get(name, name) for name in tensors]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, names)
