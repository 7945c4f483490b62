"""Average pooling of a QDQ model in a form whose scale rknn-toolkit2 keeps.

At optimization level 3 the toolkit (2.3.2 and 2.5.0, its pass ``adjust_avgpool``) gives a quantized
average pooling the scale of its input. That is too coarse for a mean, the more so the more values
it is of: windows of 2x2 have 31 dB to the intended model then, planes of 32x32 37 dB, and windows
of 8x8 behind a convolution without Relu 20 dB. The mean of a window, or of a plane of at most 16 by
16, is a depthwise convolution whose weights are all alike: bit for bit what was meant, and
estimated up to 15 % faster than the pooling, or as fast. Larger planes are built of the same
convolutions as a ReduceMean: in two steps, the first with a scale of its own (46 dB).

Such a convolution has a bias of zeros: where what else reads the plane is in float16, 2.5.0 gives
its own one no scale, and aborts ("Conv bias scale is empty").
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from ...core.graphs.graph import (
    Graph,
    attributes,
    constant_value,
    drop_unread,
    free_name,
    opset_of,
    replace_nodes,
)
from ...core.types import Array, Shape

_POOLINGS = {"AveragePool", "GlobalAveragePool"}
_AXES_AS_INPUT = 18  # the opset from which on ReduceMean takes its axes as an input
_COARSER = 1.1  # scale of the input by that of the mean: under 1 dB is lost below
_LONGEST = 16  # side of a depthwise kernel: beyond, it is taken apart, and computed in float16
_HIGHEST = 126  # what the toolkit's second rounding gives back exactly


def with_finer_means(model: ModelProto, *, has_several_shapes: bool = False) -> ModelProto:
    """Return a copy where average poolings with a finer scale than their input's keep it.

    Those of a large plane are ReduceMean then, others Conv, where the padding is part of the mean
    or there is none. With ``has_several_shapes`` a plane has another size in each, so that its mean
    is no convolution. Where there are none of these, the model itself is returned.
    """
    graph = Graph(model)
    operators = {node.output[0]: _operator(graph, node, has_several_shapes) for node in graph.nodes}
    if not any(operators.values()):
        return model
    changed = ModelProto()
    changed.CopyFrom(model)
    graph = Graph(changed)
    nodes = [new for node in graph.nodes for new in _nodes(graph, node, operators[node.output[0]])]
    replace_nodes(changed.graph, nodes)
    drop_unread(changed)
    return changed


def _nodes(graph: Graph, node: NodeProto, operator: str) -> list[NodeProto]:
    """What computes a pooling, or the node itself."""
    if operator == "ReduceMean":
        return [_mean(graph, node)]
    return list(_convolution(graph, node)) if operator == "Conv" else [node]


def _operator(graph: Graph, node: NodeProto, has_several_shapes: bool) -> str:
    """The operator that can stand for a pooling; empty where it is to stay."""
    if not _is_finer(graph, node):
        return ""
    plane = graph.shapes[node.input[0]][2:]
    is_short = len(plane) <= 2 and max(plane) <= _LONGEST
    if node.op_type == "GlobalAveragePool":
        return "Conv" if is_short and not has_several_shapes else "ReduceMean"
    if _is_of_all(node, plane) and not has_several_shapes:
        return "Conv" if is_short else "ReduceMean"
    return "Conv" if _is_convolution(node, plane) else ""


def _is_finer(graph: Graph, node: NodeProto) -> bool:
    """Whether a pooling between two quantized tensors has the finer scale behind it."""
    if node.op_type not in _POOLINGS or len(graph.shapes.get(node.input[0], ())) < 3:
        return False
    source = graph.producers.get(node.input[0])
    readers = graph.consumers.get(node.output[0], [])
    if source is None or source.op_type != "DequantizeLinear" or not readers:
        return False
    if any(reader.op_type != "QuantizeLinear" for reader in readers):
        return False
    before, after = (constant_value(graph, pair, 1) for pair in (source, readers[0]))
    return before is not None and after is not None and before.max() > _COARSER * after.min()


def _is_of_all(node: NodeProto, plane: Shape) -> bool:
    settings = attributes(node)
    return tuple(settings["kernel_shape"]) == plane and not any(settings.get("pads", ()))


def _is_convolution(node: NodeProto, plane: Shape) -> bool:
    """Whether every window has the same weights: of lines or planes, with no part left out."""
    settings = attributes(node)
    kernel = settings["kernel_shape"]
    strides = settings.get("strides", [1] * len(kernel))
    is_padded = any(settings.get("pads", ()))
    rests = [(n - k) % step for n, k, step in zip(plane, kernel, strides, strict=True)]
    return (
        len(kernel) <= 2
        and set(settings.get("dilations", (1,))) == {1}
        and settings.get("auto_pad", "NOTSET") in ("NOTSET", "VALID")
        and (not is_padded or bool(settings.get("count_include_pad")))
        and not (settings.get("ceil_mode") and (is_padded or any(rests)))
    )


def _mean(graph: Graph, node: NodeProto) -> NodeProto:
    mean = helper.make_node("ReduceMean", node.input, node.output, node.name, keepdims=1)
    axes = list(range(2, len(graph.shapes[node.input[0]])))
    if opset_of(graph.model) < _AXES_AS_INPUT:
        mean.attribute.append(helper.make_attribute("axes", axes))
    else:
        name = free_name(f"{node.output[0]}/axes", graph.names)
        graph.model.graph.initializer.append(numpy_helper.from_array(np.array(axes), name))
        mean.input.append(name)
    return mean


def _convolution(graph: Graph, node: NodeProto) -> Iterator[NodeProto]:
    """The convolution of each channel with one weight, its bias 0, quantized as layers are."""
    settings = attributes(node)
    _, channels, *plane = graph.shapes[node.input[0]]
    kernel = settings.get("kernel_shape", plane)
    steps_of_input = constant_value(graph, graph.producers[node.input[0]], 1)
    assert steps_of_input is not None  # see _is_finer
    scale = np.full(channels, 1 / (_HIGHEST * np.prod(kernel)), np.float32)
    values: dict[str, Array] = {
        "weight": np.full((channels, 1, *kernel), _HIGHEST, np.int8),
        "scale": scale,
        "zero": np.zeros(channels, np.int8),
        "steps": np.zeros(channels, np.int32),
        "unit": scale * steps_of_input,
    }
    parts = (*values, "mean", "bias")
    names = {part: free_name(f"{node.output[0]}/{part}", graph.names) for part in parts}
    for part, value in values.items():
        graph.model.graph.initializer.append(numpy_helper.from_array(value, names[part]))
    quantized = [names[part] for part in ("weight", "scale", "zero")]
    yield helper.make_node("DequantizeLinear", quantized, [names["mean"]], axis=0)
    bias = [names[part] for part in ("steps", "unit")]
    yield helper.make_node("DequantizeLinear", bias, [names["bias"]], axis=0)
    yield helper.make_node(
        "Conv",
        [node.input[0], names["mean"], names["bias"]],
        node.output,
        node.name,
        group=channels,
        kernel_shape=kernel,
        **{name: settings[name] for name in ("strides", "pads") if name in settings},
    )
