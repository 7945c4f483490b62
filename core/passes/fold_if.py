"""Take the branch of every If whose condition is the same for all inputs of the fixed shapes.

Exporters leave an If where the code looked at a shape (PyTorch's squeeze does), and the branch not
taken is often not even valid for the fixed shapes, so ONNX Runtime refuses the model.
"""

from __future__ import annotations

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, helper

from ..session import Session
from .submodel import up_to

_BY_SHAPE = {"Shape", "Size"}  # what they give depends on the shapes alone


def take_branches(model: ModelProto) -> ModelProto:
    """Return a copy without the If nodes that shapes and constants decide.

    The shapes of the inputs must be fixed. A nested If is decided once it has come to the top; one
    that depends on the values of an input stays. The results are the same, bit for bit.
    """
    taken = ModelProto()
    taken.CopyFrom(model)
    while (place := _decided(taken.graph)) is not None:
        node = taken.graph.node[place]
        wanted = "then_branch" if _is_true(taken, node.input[0]) else "else_branch"
        _inline(taken.graph, place, next(one.g for one in node.attribute if one.name == wanted))
    return taken


def _decided(graph: GraphProto) -> int | None:
    """The place of the first If whose condition reaches no input but through a shape."""
    made_by = {name: node for node in graph.node for name in node.output}
    fed = {value.name for value in graph.input} - {tensor.name for tensor in graph.initializer}
    for place, node in enumerate(graph.node):
        if node.op_type == "If" and not _depends(node.input[0], made_by, fed):
            return place
    return None


def _depends(tensor: str, made_by: dict[str, NodeProto], fed: set[str]) -> bool:
    """Whether a tensor depends on the values of the inputs."""
    pending, seen = [tensor], set[str]()
    while pending:
        name = pending.pop()
        node = made_by.get(name)
        if name in fed:
            return True
        if node is None or name in seen or node.op_type in _BY_SHAPE:
            continue
        if any(attribute.HasField("g") for attribute in node.attribute):
            return True  # its branches may use any tensor
        seen.add(name)
        pending.extend(node.input)
    return False


def _is_true(model: ModelProto, condition: str) -> bool:
    part = up_to(model, [condition])
    if not part.graph.node:  # an initializer: a session needs a node
        part.graph.node.append(helper.make_node("Identity", [condition], ["decision"]))
        part.graph.output[0].name = "decision"
    feeds = {}
    fed = {tensor.name for tensor in part.graph.initializer}
    for value in part.graph.input:
        kind = value.type.tensor_type
        shape = [dim.dim_value for dim in kind.shape.dim]
        if value.name not in fed:
            feeds[value.name] = np.zeros(shape, helper.tensor_dtype_to_np_dtype(kind.elem_type))
    return bool(np.any(Session(part).run(feeds)[0]))


def _inline(graph: GraphProto, place: int, branch: GraphProto) -> None:
    """Put the nodes of a branch where its If is; their own names get the If's output before."""
    outputs = list(graph.node[place].output)
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
    # extending copies the nodes, so the list must be made before the old ones go
    parts = (graph.node[:place], body.node, joints, graph.node[place + 1 :])
    nodes = [NodeProto.FromString(node.SerializeToString()) for part in parts for node in part]
    del graph.node[:]
    graph.node.extend(nodes)


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
