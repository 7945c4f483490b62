"""The part of a model that some of its inner tensors need."""

from __future__ import annotations

from collections.abc import Sequence

from onnx import ModelProto, ValueInfoProto, helper

from ..graphs.graph import read_by


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
    # without a type: ONNX Runtime infers it, and a wrong guess would be an error
    outputs = [ValueInfoProto(name=name) for name in tensors]
    graph = helper.make_graph(
        list(reversed(nodes)),
        model.graph.name or "part",
        list(model.graph.input),
        outputs,
        [tensor for tensor in model.graph.initializer if tensor.name in needed],
    )
    part = helper.make_model(graph, opset_imports=list(model.opset_import))
    part.ir_version = model.ir_version
    return part
