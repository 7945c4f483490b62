"""Global average pooling of a QDQ model in a form whose scale rknn-toolkit2 keeps.

At optimization level 3 the toolkit (2.5.0, its pass ``adjust_avgpool``) gives a quantized
GlobalAveragePool the scale of its input. That is far too coarse for a mean: of a plane of 32x32
pixels it leaves 37 dB, where the same mean as a ReduceMean, which it builds of the same two
convolutions, has 46.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from ...core.graphs.graph import Graph, drop_unread, free_name, opset_of, replace_nodes

_PLANE = (2, 3)
_AXES_AS_INPUT = 18  # the opset from which on ReduceMean takes its axes as an input


def pool_by_mean(model: ModelProto) -> None:
    """Make every GlobalAveragePool between two quantized tensors of four axes a ReduceMean."""
    graph = Graph(model)
    axes = None
    if opset_of(model) >= _AXES_AS_INPUT:
        axes = free_name("plane", graph.names)
        model.graph.initializer.append(numpy_helper.from_array(np.array(_PLANE, np.int64), axes))
    nodes = [_mean(node, axes) if _is_quantized(graph, node) else node for node in model.graph.node]
    replace_nodes(model.graph, nodes)
    drop_unread(model)


def _is_quantized(graph: Graph, node: NodeProto) -> bool:
    if node.op_type != "GlobalAveragePool" or len(graph.shapes.get(node.input[0], ())) != 4:
        return False
    source = graph.producers.get(node.input[0])
    readers = graph.consumers.get(node.output[0], [])
    return (
        source is not None
        and source.op_type == "DequantizeLinear"
        and bool(readers)
        and all(reader.op_type == "QuantizeLinear" for reader in readers)
    )


def _mean(node: NodeProto, axes: str | None) -> NodeProto:
    mean = helper.make_node("ReduceMean", node.input, node.output, node.name, keepdims=1)
    if axes is None:
        mean.attribute.append(helper.make_attribute("axes", _PLANE))
    else:
        mean.input.append(axes)
    return mean
