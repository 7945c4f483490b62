"""Layers with a constant weight, seen as matrix products: one for each group of channels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from onnx import ModelProto, NodeProto

from ...core.diagnostics import option
from ...core.errors import ModelError
from ...core.graphs.dense import receptive_fields
from ...core.graphs.graph import Graph, attributes, output_axis
from ...core.graphs.model import is_qdq
from ...core.types import Array

# Second moments of d inputs take d * d numbers. A wider layer is cut into blocks, and what its
# inputs have in common across blocks is left out.
WIDEST_BLOCK = 1536
_FIRST_PER_CHANNEL_OPSET = 13


@dataclass(frozen=True, eq=False)
class WeightedLayer:
    """One Conv, ConvTranspose, Gemm or MatMul: ``name`` and ``x`` are its output and its input.

    ``groups`` of outputs each read inputs of their own. ``bias`` is None when the layer has none
    that may be changed, zeros when it could have one.
    """

    node: NodeProto
    name: str
    x: str
    weight_name: str
    weight: Array
    axis: int
    groups: int
    bias: Array | None
    positions: int

    @property
    def channels(self) -> int:
        """Return the number of outputs."""
        return int(self.weight.shape[self.axis])

    @property
    def has_columns(self) -> bool:
        """Return whether an output is the product of the weight with a patch of the input."""
        return self.node.op_type != "ConvTranspose"

    @property
    def width(self) -> int:
        """Return the number of inputs of one output: channels of its group times taps."""
        return self.weight.size // self.channels

    def matrix(self, weight: Array) -> Array:
        """Return a weight as (groups, outputs of a group, inputs of a group * taps)."""
        first = np.moveaxis(weight, self.axis, 0)
        return first.reshape(self.groups, len(first) // self.groups, -1)

    def weight_like(self, matrix: Array) -> Array:
        """Return a matrix as a weight: the inverse of ``matrix``."""
        shape = np.moveaxis(self.weight, self.axis, 0).shape
        return np.ascontiguousarray(np.moveaxis(matrix.reshape(shape), 0, self.axis))

    def columns(self, x: Array, at: Array) -> Array:
        """Return inputs of the product at flat positions: (groups, inputs * taps, positions)."""
        fields = receptive_fields(self.node, x, self.weight, at)
        return fields.reshape(self.groups, -1, len(at))


def layers_from(graph: Graph, nodes: Iterable[NodeProto]) -> tuple[WeightedLayer, ...]:
    """Return these nodes as layers; see placement.weighted_nodes for those that can be."""
    return tuple(_layer(graph, node) for node in nodes)


def by_weight(layers: Iterable[WeightedLayer]) -> list[tuple[WeightedLayer, ...]]:
    """Return the layers in groups, in order: those that multiply by one weight in the same way."""
    groups: dict[tuple[str, int, int, bool], list[WeightedLayer]] = {}
    for layer in layers:
        key = layer.weight_name, layer.axis, layer.groups, layer.has_columns
        groups.setdefault(key, []).append(layer)
    return [tuple(together) for together in groups.values()]


def shares_weight(graph: Graph, layer: WeightedLayer) -> bool:
    """Return whether something else reads the layer's weight too."""
    readers = len(graph.consumers[layer.weight_name])
    return readers > 1 or layer.weight_name in graph.output_names


def _layer(graph: Graph, node: NodeProto) -> WeightedLayer:
    settings = attributes(node)
    x, weight_name, name = node.input[0], node.input[1], node.output[0]
    weight, axis = graph.weights[weight_name], output_axis(node)
    groups = settings.get("group", 1) if node.op_type == "Conv" else 1
    shape = graph.shapes.get(name, ())
    positions = prod(shape[2:] if node.op_type in ("Conv", "ConvTranspose") else shape[:-1])
    bias = _bias(graph, node, weight.shape[axis])
    return WeightedLayer(node, name, x, weight_name, weight, axis, groups, bias, positions)


def _bias(graph: Graph, node: NodeProto, channels: int) -> Array | None:
    """Return the bias, zeros where one could be added, None where it is no plain constant."""
    settings = attributes(node)
    if node.op_type == "MatMul" or settings.get("alpha", 1.0) != 1.0 or settings.get("transA"):
        return None
    if len(node.input) < 3 or not node.input[2]:
        return np.zeros(channels, np.float32)
    value = graph.weights.get(node.input[2])
    fits = value is not None and value.shape == (channels,) and settings.get("beta", 1.0) == 1.0
    return value if fits else None


def require_quantizable(
    model: ModelProto, parts: Sequence[NodeProto | str], *, has_float16: bool = True
) -> None:
    """Raise ModelError for a model that is quantized, too old, or has nothing to quantize.

    ``parts`` are the layers with a weight, or where the chip has no float16 the activations.
    """
    if is_qdq(model):
        raise ModelError("the model is quantized already", "convert it as it is")
    _require_opset(model)
    if parts:
        return
    if not has_float16:
        raise ModelError(
            "nothing in this model can be quantized: it has no float32 tensor of known shape",
            f"convert the float model with {option('toolkit-quantizer', 'normal')}",
        )
    raise ModelError(
        "nothing in this model can be quantized: it has no convolution or matrix product "
        "with a constant float32 weight",
        f"run it with {option('scheme', 'float16')}",
    )


def _require_opset(model: ModelProto) -> None:
    versions = (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    opset = next(versions, 1)
    if opset < _FIRST_PER_CHANNEL_OPSET:
        raise ModelError(
            f"the model has opset {opset}; scales per channel need opset 13 or later",
            "export the model with opset 13 to 19",
        )


def blocks(width: int) -> int:
    """Return into how many equal blocks a matrix of so many inputs is cut.

    >>> blocks(576), blocks(4608), blocks(25088)
    (1, 3, 28)
    """
    count = -(-width // WIDEST_BLOCK)
    while width % count:
        count += 1
    return count
