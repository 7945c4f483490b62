"""LeakyRelu and PRelu behind a layer in the form that rknn-toolkit2 computes in int8.

A layer and its activation are one step for the NPU, so that a QDQ model has a scale behind the
activation alone. With a Relu or a Clip the toolkit (2.3.2, 2.5.0) computes that in int8. With a
LeakyRelu or a PRelu it computes the layer in float16 between two conversions, for twice the time,
and behind an Add it crashes (SIGABRT). With the same scale before the activation as well, level 3
joins both in int8 and does not round in between: single layers are bit for bit what was meant.
But behind a depthwise convolution it does round before a LeakyRelu, and cuts off what is below the
scale behind it: such a layer had 20 dB, and 34 as a PRelu, which it is there for the compiler.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from ...core.graphs.graph import Graph, attributes, free_name, replace_nodes
from ...core.types import Shape

_SLOPED = ("LeakyRelu", "PRelu")
# What is not joined is cut off at the lower end of the scale in between: a ConvTranspose had
# 14 dB, a grouped convolution 19. These stay in float16, as do sums of stored tensors.
_JOINED = ("Conv", "Gemm", "MatMul")


def with_scaled_slopes(model: ModelProto) -> ModelProto:
    """Return a copy of a QDQ model with the scale of such activations before them too.

    For level 3 alone: at level 2 values would be rounded, and cut off, in between. Where there is
    no such activation, the model itself is returned.
    """
    graph = Graph(model)
    if not any(_stored_by(graph, node) for node in graph.nodes):
        return model
    changed = ModelProto()
    changed.CopyFrom(model)
    graph = Graph(changed)
    replace_nodes(changed.graph, [new for node in graph.nodes for new in _nodes(graph, node)])
    return changed


def _nodes(graph: Graph, node: NodeProto) -> Iterator[NodeProto]:
    """Yield the node, and a pair with the scale of its result before it where that helps."""
    stored = _stored_by(graph, node)
    if stored is not None:
        source, scale = node.input[0], stored.input[1:]
        steps, again = (free_name(f"{source}/{part}", graph.names) for part in ("steps", "again"))
        yield helper.make_node("QuantizeLinear", [source, *scale], [steps], steps)
        yield helper.make_node("DequantizeLinear", [steps, *scale], [again], again)
        node.input[0] = again
        layer, shape = graph.producers[source], graph.shapes.get(source, ())
        if node.op_type == "LeakyRelu" and shape and _is_depthwise(graph, layer):
            slopes = _slopes(graph, node, shape)
            yield slopes
            node = helper.make_node("PRelu", [again, *slopes.output], node.output, node.name)
    yield node


def _slopes(graph: Graph, node: NodeProto, shape: Shape) -> NodeProto:
    """Return the slope of a LeakyRelu as a constant of one value a channel."""
    slope = float(attributes(node).get("alpha", 0.01))
    values = np.full((shape[1], *[1] * len(shape[2:])), slope, np.float32)
    name = free_name(f"{node.output[0]}/slopes", graph.names)
    tensor = numpy_helper.from_array(values)
    return helper.make_node("Constant", [], [name], name, value=tensor)


def _stored_by(graph: Graph, node: NodeProto) -> NodeProto | None:
    """What quantizes the activation of a quantized layer; None for any other node."""
    if node.op_type not in _SLOPED or not _is_joined(graph, node.input[0]):
        return None
    readers = graph.consumers.get(node.output[0], [])
    is_stored = len(readers) == 1 and readers[0].op_type == "QuantizeLinear"
    return readers[0] if is_stored and not readers[0].domain else None


def _is_joined(graph: Graph, name: str) -> bool:
    """Whether a tensor is the result of a layer in int8, or that with something added to it.

    And whether it has no other reader.
    """
    node = graph.producers.get(name)
    if node is None or len(graph.consumers.get(name, ())) != 1 or name in graph.output_names:
        return False
    computed = [source for source in node.input if source and not graph.is_weight(source)]
    if node.op_type == "Add" and len(computed) == 1:
        return _is_joined(graph, computed[0])
    if not all(_is_dequantized(graph, source) for source in computed):
        return False
    if node.op_type == "Add":
        return any(_is_joined(graph, _before_storing(graph, source)) for source in computed)
    is_one_group = attributes(node).get("group", 1) == 1
    return node.op_type in _JOINED and (is_one_group or _is_depthwise(graph, node))


def _is_depthwise(graph: Graph, node: NodeProto) -> bool:
    groups = int(attributes(node).get("group", 1))
    return groups > 1 and groups == graph.shapes.get(node.input[0], (1, 1))[1]


def _is_dequantized(graph: Graph, name: str) -> bool:
    node = graph.producers.get(name)
    return node is not None and node.op_type == "DequantizeLinear"


def _before_storing(graph: Graph, name: str) -> str:
    """What a dequantized tensor was computed as; empty where something else reads it too."""
    for kind in ("DequantizeLinear", "QuantizeLinear"):
        node = graph.producers.get(name)
        if node is None or node.op_type != kind or len(graph.consumers[name]) != 1:
            return ""
        name = node.input[0]
    return name
