"""The part of a model that some of its inner tensors need."""

from __future__ import annotations

from collections.abc import Sequence

from onnx import ModelProto, TensorProto, helper


def up_to(model: ModelProto, tensors: Sequence[str]) -> ModelProto:
    """A copy that computes exactly ``tensors`` (its outputs, in that order) and nothing else.

    The inputs stay as they are, so the same feeds fit. The element type of an output is taken to
    be float32, which is what the inner tensors of the models here are.
    """
    needed = set(tensors)
    kept = []
    for node in reversed(model.graph.node):
        if any(name in needed for name in node.output):
            kept.append(node)
            needed.update(node.input)
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in tensors]
    graph = helper.make_graph(
        list(reversed(kept)),
        model.graph.name or "part",
        list(model.graph.input),
        outputs,
        [tensor for tensor in model.graph.initializer if tensor.name in needed],
    )
    part = helper.make_model(graph, opset_imports=list(model.opset_import))
    part.ir_version = model.ir_version
    return part
