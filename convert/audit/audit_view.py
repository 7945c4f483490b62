"""What an audit looks at: the float graph behind a model, quantized or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto, numpy_helper

from ...core.graphs.graph import Graph, drop_unread, replace_nodes
from ...core.types import Array, Range

_QUANTIZERS = {"QuantizeLinear", "DequantizeLinear"}
# these only move values: every one of the first output is one of the first input's
MOVING = {
    *("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Split", "Gather"),
    *("DepthToSpace", "SpaceToDepth", "Identity", "Tile", "Expand", "Dropout", "Cast"),
}


@dataclass(frozen=True)
class AuditView:
    """``graph`` without Q/DQ pairs; ``ranges`` are (min, max) by tensor name, where measured.

    ``quantized`` are the names of the activations and constants that a QDQ model stores in int8,
    None for a float model.
    """

    graph: Graph
    ranges: Mapping[str, Range]
    quantized: frozenset[str] | None

    def source(self, name: str) -> str:
        """Return the computed tensor that ``name`` is a part or another shape of."""
        node = self.graph.producers.get(name)
        while node is not None and node.op_type in MOVING:
            name = node.input[0]
            node = self.graph.producers.get(name)
        return name


def view_of(model: ModelProto, ranges: Mapping[str, Range] | None) -> AuditView:
    """Return a model without its Q/DQ pairs, whose scales say the ranges that are not given.

    >>> from onnx import parser
    >>> text = '''<ir_version: 8, opset_import: ["": 13]> g (float[2] x) => (float[2] y)
    ...     <float s = {0.5}, int8 z = {-28}>
    ...     { q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) y = Relu(d) }'''
    >>> view = view_of(parser.parse_model(text), None)
    >>> [node.op_type for node in view.graph.nodes], view.ranges
    (['Relu'], {'x': (-50.0, 77.5)})
    """
    measured = dict(ranges or {})
    if not any(node.op_type in _QUANTIZERS for node in model.graph.node):
        return AuditView(Graph(model), measured, None)
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    names, scaled, constants = _pairs(model, weights)
    floated = _without_pairs(model, names, constants)
    return AuditView(Graph(floated), {**scaled, **measured}, frozenset({*scaled, *constants}))


def quantized_ranges(model: ModelProto) -> dict[str, Range]:
    """Return the range that each QuantizeLinear can express, by the name of what it reads."""
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    ranges: dict[str, Range] = {}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            ranges.update(_range(node.input[0], node, weights))
    return ranges


def _pairs(
    model: ModelProto, weights: Mapping[str, Array]
) -> tuple[dict[str, str], dict[str, Range], dict[str, Array]]:
    """Name in the model -> name in the view; ranges of the quantized tensors; float constants."""
    outputs = {value.name for value in model.graph.output}
    quantizes = {n.output[0]: n for n in model.graph.node if n.op_type == "QuantizeLinear"}
    names: dict[str, str] = {}
    scaled: dict[str, Range] = {}
    constants: dict[str, Array] = {}
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear":
            continue
        output = node.output[0]
        quantize = quantizes.get(node.input[0])
        if quantize is None:
            constants[output] = _dequantized(node, weights)
            continue
        source = names.get(quantize.input[0], quantize.input[0])
        if output in outputs and source not in outputs:
            names[source] = source = output  # an output keeps its name
        names[output] = source
        scaled.update(_range(source, quantize, weights))
    return names, scaled, constants


def _dequantized(node: NodeProto, weights: Mapping[str, Array]) -> Array:
    """A constant in float; zeros stand in for what is computed from something else."""
    steps, scale = weights.get(node.input[0]), weights.get(node.input[1])
    if steps is None or scale is None:
        return np.zeros(1, np.float32)
    zero = weights.get(node.input[2]) if len(node.input) > 2 else None
    axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
    shape = [1] * steps.ndim
    if scale.size > 1:
        shape[axis] = -1
    centred = steps.astype(np.float32) - (
        0 if zero is None else zero.astype(np.float32).reshape(shape)
    )
    value: Array = centred * scale.reshape(shape)
    return value


def _range(name: str, node: NodeProto, weights: Mapping[str, Array]) -> dict[str, Range]:
    """What the scale of a QuantizeLinear can express; nothing when it is not one constant."""
    scale = weights.get(node.input[1])
    zero = weights.get(node.input[2]) if len(node.input) > 2 else np.zeros((), np.uint8)
    if scale is None or zero is None or scale.size != 1 or zero.dtype.kind not in "iu":
        return {}
    limits = np.iinfo(zero.dtype)
    unit, origin = float(scale.reshape(())), int(zero.reshape(()))
    return {name: ((limits.min - origin) * unit, (limits.max - origin) * unit)}


def _without_pairs(
    model: ModelProto, names: Mapping[str, str], constants: Mapping[str, Array]
) -> ModelProto:
    floated = ModelProto()
    floated.CopyFrom(model)
    nodes = [node for node in floated.graph.node if node.op_type not in _QUANTIZERS]
    for node in nodes:
        node.input[:] = [_followed(names, name) for name in node.input]
        node.output[:] = [_followed(names, name) for name in node.output]
    replace_nodes(floated.graph, nodes)
    tensors = (numpy_helper.from_array(value, name) for name, value in constants.items())
    floated.graph.initializer.extend(tensors)
    drop_unread(floated)
    return floated


def _followed(names: Mapping[str, str], name: str) -> str:
    """The name in the view. An output's raw name was renamed after others may have used it."""
    visited = {name}
    while name in names and names[name] not in visited:
        name = names[name]
        visited.add(name)
    return name
