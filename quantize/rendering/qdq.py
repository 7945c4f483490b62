"""A plan as a QDQ ONNX model: the *intended* model, which ONNX Runtime evaluates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from ...core.graphs.graph import Graph, free_name, output_axis, read_by
from ...core.types import Array, Float32
from ..graph_parts.constant_operands import constant_operands
from ..graph_parts.placement import place
from ..graph_parts.weighted_layers import layers_from
from ..methods import find_method
from ..numeric.constant_scales import constant_steps
from ..numeric.scales import quantize_bias
from .plan import Plan
from .rounding import Rounded, rounded_layers

_MICROSOFT = "com.microsoft"


def insert_qdq(
    model: ModelProto, plan: Plan, rounded: Mapping[str, Rounded] | None = None
) -> ModelProto:
    """Return a copy of a prepared model with QuantizeLinear/DequantizeLinear where planned.

    ``rounded`` has the integers of every layer by its output; without, weights are rounded to
    nearest.
    Activations get a pair of their own scale; weights are stored as int8 with one scale a channel
    and biases as int32, each behind a DequantizeLinear; those of a symmetric plan stay in float.
    Names of inputs and outputs stay.
    """
    graph = Graph(model)
    copy = ModelProto()
    copy.CopyFrom(model)
    if rounded is None:
        has_float16 = bool(plan.float_operators)
        placement = place(graph, plan.high_precision, has_float16=has_float16)
        layers = layers_from(graph, placement.weights)
        rounded = rounded_layers(layers, plan.activations, {}, find_method("min-max"))
    builder = _Builder(graph, plan, rounded)
    nodes: list[NodeProto] = []
    for name in graph.input_names:
        nodes.extend(builder.activation_pair(name))
    for node in copy.graph.node:
        nodes.extend(builder.weight_nodes(node))
        nodes.extend(builder.constant_nodes(node))
        nodes.append(builder.rewired(node))
        for name in list(node.output):
            nodes.extend(builder.activation_pair(builder.original(name)))
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    # a weight may be read by a node that stays in float as well
    used = {name for node in nodes for name in read_by(node)} | set(graph.output_names)
    unused = builder.replaced - used
    constants = [tensor for tensor in copy.graph.initializer if tensor.name not in unused]
    del copy.graph.initializer[:]
    copy.graph.initializer.extend([*constants, *builder.constants])
    del copy.graph.value_info[:]
    copy.graph.value_info.extend(builder.shapes)
    domains = {entry.domain for entry in copy.opset_import}
    if builder.shapes and _MICROSOFT not in domains:
        copy.opset_import.append(helper.make_opsetid(_MICROSOFT, 1))
    return onnx.shape_inference.infer_shapes(copy)


def bias_integers(
    bias: Float32, input_scale: float, scales: Float32
) -> tuple[NDArray[np.int32], Float32]:
    """Return a bias as int32, and the unit of each, for a layer whose weights have these scales."""
    unit = np.asarray(np.float64(input_scale) * scales, np.float32)
    return quantize_bias(bias, input_scale, scales), unit


def dequantized_names(quantized: ModelProto) -> dict[str, str]:
    """Return activation -> the tensor that holds it dequantized in what ``insert_qdq`` made."""
    nodes = quantized.graph.node
    tensors = {
        node.input[0]: node.output[0] for node in nodes if node.op_type == "DequantizeLinear"
    }
    return {
        node.name.removesuffix(".Q"): tensors[node.output[0]]
        for node in nodes
        if node.op_type == "QuantizeLinear"
    }


def computing_nodes(model: ModelProto, quantized: ModelProto) -> list[tuple[NodeProto, NodeProto]]:
    """Return each node with what became of it in what ``insert_qdq`` made of the model.

    That adds nodes and rewires the others, but leaves these in their order.
    """
    added = ("QuantizeLinear", "DequantizeLinear")
    computing = [node for node in quantized.graph.node if node.op_type not in added]
    return list(zip(model.graph.node, computing, strict=True))


def computed_names(model: ModelProto, quantized: ModelProto) -> dict[str, str]:
    """Return first output of each node -> its name in what ``insert_qdq`` made of the model."""
    pairs = computing_nodes(model, quantized)
    return {node.output[0]: other.output[0] for node, other in pairs if node.output}


class _Builder:
    """Collects new nodes and constants while the graph is walked once."""

    def __init__(self, graph: Graph, plan: Plan, rounded: Mapping[str, Rounded]) -> None:
        self.constants: list[onnx.TensorProto] = []
        self.replaced: set[str] = set()
        self.shapes: list[onnx.ValueInfoProto] = []
        high_precision = set(plan.high_precision)
        self._quantized = {
            name: entry for name, entry in plan.activations.items() if name not in high_precision
        }
        self._operands = {
            operand.node.output[0]: operand for operand in constant_operands(graph, self._quantized)
        }
        self._graph = graph
        self._plan = plan
        self._rounded = rounded
        self._taken = set(graph.names)
        # a quantized output keeps its name on the last node, so its producer writes another
        self._raw = {
            name: self._free(f"{name}.float")
            for name in graph.output_names
            if name in graph.producers and name in self._quantized
        }
        self._names = {raw: name for name, raw in self._raw.items()}
        self._dequantized_names: dict[str, str] = {}
        # weight -> the layers as rounded that read it, and the names that it has dequantized
        self._weights: dict[str, list[tuple[Rounded, str]]] = {}

    def original(self, name: str) -> str:
        """Return the name that a tensor had before it was rewired."""
        return self._names.get(name, name)

    def activation_pair(self, name: str) -> list[NodeProto]:
        """Quantize and dequantize one activation, or nothing if it is not in the plan."""
        entry = self._quantized.get(name)
        if entry is None:
            return []
        kind = np.int16 if entry.dtype == "int16" else np.int8
        scale = self._constant(f"{name}.scale", np.float32(entry.scale))
        zero_point = self._constant(f"{name}.zero_point", kind(entry.zero_point))
        source, steps = self._raw.get(name, name), self._free(f"{name}.quantized")
        target = name if name in self._raw else self._free(f"{name}.dequantized")
        self._dequantized_names[name] = target
        constants, domain = [scale, zero_point], {}
        if kind is np.int16:  # which the standard's own operators have from opset 21 on
            domain = {"domain": _MICROSOFT}
            self._note_shapes(name, target, steps)
        return [
            helper.make_node(
                "QuantizeLinear", [source, *constants], [steps], f"{name}.Q", **domain
            ),
            helper.make_node(
                "DequantizeLinear", [steps, *constants], [target], f"{name}.DQ", **domain
            ),
        ]

    def _note_shapes(self, name: str, target: str, steps: str) -> None:
        """Note what inference cannot find: it does not know operators of other domains."""
        shape = self._graph.shapes[name]
        if target != name:
            self.shapes.append(helper.make_tensor_value_info(target, TensorProto.FLOAT, shape))
        self.shapes.append(helper.make_tensor_value_info(steps, TensorProto.INT16, shape))

    def rewired(self, node: NodeProto) -> NodeProto:
        """Let a node read dequantized activations and weights, and write raw outputs."""
        for position, name in enumerate(node.input):
            node.input[position] = self._dequantized_names.get(name, name)
        for position, name in enumerate(node.output):
            node.output[position] = self._raw.get(name, name)
        return node

    def weight_nodes(self, node: NodeProto) -> list[NodeProto]:
        """Dequantize the weight and bias of a node, if they are in the plan."""
        layer = self._rounded.get(self.original(node.output[0]))
        if layer is None or node.input[1] not in self._plan.weights:
            return []
        source = self._plan.activations.get(node.input[0])
        weight = self._dequantized_weight(node, layer)
        if layer.bias is None or source is None:
            return weight
        if len(node.input) < 3:
            if not layer.bias.any():
                return weight
            node.input.append("")
        if self._plan.symmetric:
            self.replaced.add(node.input[2])
            name = f"{self.original(node.output[0])}.bias"
            node.input[2] = self._constant(name, np.asarray(layer.bias, np.float32))
            return weight
        steps, unit = bias_integers(layer.bias, source.scale, layer.scales)
        return [*weight, self._dequantized(node, 2, steps, unit, 0)]

    def _dequantized_weight(self, node: NodeProto, layer: Rounded) -> list[NodeProto]:
        """Dequantize the weight of a node, or nothing where an earlier one reads the same."""
        axis = output_axis(node)
        earlier = self._weights.setdefault(f"{axis} {node.input[1]}", [])
        for other, name in earlier:
            if np.array_equal(other.steps, layer.steps) and np.array_equal(
                other.scales, layer.scales
            ):
                node.input[1] = name
                return []
        added = self._dequantized(node, 1, layer.steps, layer.scales, axis)
        earlier.append((layer, added.output[0]))
        return [added]

    def constant_nodes(self, node: NodeProto) -> list[NodeProto]:
        """Dequantize the constant that an int8 elementwise node reads, if it is in the plan."""
        operand = self._operands.get(self.original(node.output[0])) if node.output else None
        if operand is None:
            return []
        if operand.name not in self._plan.constants:
            if operand.may_be_float and operand.values.size > 1:
                self.replaced.add(operand.name)
                name = self._constant(f"{operand.name}.four_axes", operand.with_four_axes())
                node.input[operand.position] = name
            return []
        entry = self._plan.constants[operand.name]
        steps = constant_steps(operand.values, entry.scale, entry.zero_point)
        name = self._free(f"{self.original(node.output[0])}.constant.dequantized")
        self.replaced.add(operand.name)
        inputs = [
            self._constant(f"{name}.steps", steps),
            self._constant(f"{name}.scale", np.float32(entry.scale)),
            self._constant(f"{name}.zero_point", np.int8(entry.zero_point)),
        ]
        node.input[operand.position] = name
        return [helper.make_node("DequantizeLinear", inputs, [name], f"{name}.DQ")]

    def _dequantized(
        self, node: NodeProto, position: int, steps: Array, scales: Array, axis: int
    ) -> NodeProto:
        # named after the node: two nodes may share a bias and yet read other input scales
        part = ("", "weight", "bias")[position]
        name = self._free(f"{self.original(node.output[0])}.{part}.dequantized")
        self.replaced.add(node.input[position])
        inputs = [
            self._constant(f"{name}.steps", steps),
            self._constant(f"{name}.scale", scales),
            self._constant(f"{name}.zero_point", np.zeros(scales.shape, steps.dtype)),
        ]
        node.input[position] = name
        return helper.make_node("DequantizeLinear", inputs, [name], f"{name}.DQ", axis=axis)

    def _free(self, stem: str) -> str:
        name = free_name(stem, self._taken)
        self._taken.add(name)
        return name

    def _constant(self, stem: str, value: Array | np.generic) -> str:
        name = self._free(stem)
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name
