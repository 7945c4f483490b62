"""Activation functions that a quantized model has no node for: its ranges clip instead.

ONNX Runtime's quantize_static leaves out each Relu and Clip before a QuantizeLinear: values below
the lowest step become the lowest step. Without its Q/DQ pairs such a model would be another one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from ...core.graphs.graph import Graph, free_name, opset_of, read_by, replace_nodes
from ...core.graphs.joins import MOVING
from ...core.types import Range

# these go below 0 whatever they read, but for sums, products and quotients of what never does
_SIGNED = "Conv ConvTranspose Gemm MatMul BatchNormalization InstanceNormalization Sub".split()
_COMBINING = ("Add", "Mul", "Div", "Concat")
_KEEPING_SIGNS = (*MOVING, "AveragePool", "GlobalAveragePool", "ReduceMean", "Resize")
_SIX = 6.0  # the upper end of the only bounded activation that networks have in large numbers
_FIRST_CLIP_BY_INPUTS = 11  # opset


def clipped_tensors(model: ModelProto) -> set[str]:
    """Return what a QDQ model computes for QuantizeLinear alone, so that its range clips it.

    The outputs of the DequantizeLinear behind are named too, as one may stand for its source.
    """
    read = {value.name for value in model.graph.output}
    for node in model.graph.node:
        if node.op_type != "QuantizeLinear":
            read.update(read_by(node))
    stored = {
        node.output[0]: node.input[0]
        for node in model.graph.node
        if node.op_type == "QuantizeLinear" and node.input[0] not in read
    }
    ends = {
        node.output[0]
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in stored
    }
    return {*stored.values(), *ends}


def restore_activations(
    graph: Graph, ranges: Mapping[str, Range], clipped: Collection[str]
) -> ModelProto:
    """Return the model with a Relu wherever a range that begins at 0 cuts off what is below.

    ``graph`` has no Q/DQ pairs; its model is changed. ``ranges`` are (min, max) of its tensors, of
    which those ``clipped`` are read quantized alone. A range of 0 to 6 is a Clip. Tensors keep
    their names: what is clipped gets a new one.
    """
    cut = {
        name
        for name, (low, _) in ranges.items()
        if low == 0 and name in clipped and _goes_below_zero(graph, name, ranges)
    }
    if cut:
        replace_nodes(graph.model.graph, list(_with_clips(graph, cut, ranges)))
    return graph.model


def _goes_below_zero(graph: Graph, name: str, ranges: Mapping[str, Range]) -> bool:
    node = graph.producers.get(name)
    if node is None or node.op_type in _SIGNED:
        return node is not None
    if node.op_type in _COMBINING:
        return any(_has_negative(graph, source, ranges) for source in node.input)
    return node.op_type in _KEEPING_SIGNS and _has_negative(graph, node.input[0], ranges)


def _has_negative(graph: Graph, name: str, ranges: Mapping[str, Range]) -> bool:
    weight = graph.weights.get(name)
    if weight is not None:
        return bool((weight < 0).any())
    return name not in ranges or ranges[name][0] < 0


def _with_clips(
    graph: Graph, cut: Collection[str], ranges: Mapping[str, Range]
) -> Iterator[NodeProto]:
    for node in graph.nodes:
        clips = []
        for place, name in enumerate(node.output):
            if name in cut:
                node.output[place] = free_name(f"{name}/unclipped", graph.names)
                clips.append(_clip(graph.model, node.output[place], name, ranges[name][1]))
        yield node
        yield from clips


def _clip(model: ModelProto, source: str, name: str, high: float) -> NodeProto:
    if not np.isclose(high, _SIX, rtol=1e-5) or opset_of(model) < _FIRST_CLIP_BY_INPUTS:
        return helper.make_node("Relu", [source], [name], f"{name}/clip")
    bounds = [f"{source}/low", f"{source}/high"]
    for bound, value in zip(bounds, (0.0, _SIX), strict=True):
        tensor = numpy_helper.from_array(np.float32(value).reshape(()), bound)
        model.graph.initializer.append(tensor)
    return helper.make_node("Clip", [source, *bounds], [name], f"{name}/clip")
