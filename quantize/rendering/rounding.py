"""Weights and biases as integers: rounded to nearest or by GPTQ, biases corrected for it.

Those of few bits go back into a float model, for a quantizer that finds their grid again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper

from ...core.graphs.graph import Graph, drop_unread, free_name, set_attribute
from ...core.graphs.sparsity import sparse_axis
from ...core.types import Array, Float32, Float64
from ..graph_parts.placement import weighted_nodes
from ..graph_parts.weighted_layers import WeightedLayer, by_weight, layers_from
from ..methods import QuantizationMethod, Rounding, Solver
from ..numeric.scales import WEIGHT_LIMIT, floored_for_bias, quantize_weight, weight_scales
from ..statistics.tensor_statistics import InputMoments, moments_of_all
from .plan import Activation


@dataclass(frozen=True, eq=False)
class Rounded:
    """A layer's weight as int8 with one scale a channel, and its bias (float32, or None)."""

    steps: NDArray[np.int8]
    scales: Float32
    bias: Float32 | None


def rounded_layers(
    layers: Sequence[WeightedLayer],
    activations: Mapping[str, Activation],
    moments: Mapping[str, InputMoments],
    method: QuantizationMethod,
    before: Mapping[str, Rounded] | None = None,
) -> dict[str, Rounded]:
    """Return layer name -> its integers; without moments to nearest, the bias uncorrected.

    ``before`` has layers rounded in the same way for other activations: where the scales of the
    weights are equal, so are the integers. A weight of several layers is rounded once, for all that
    these read.
    """
    layers_rounded = {}
    for together in by_weight(layers):
        each = [_scales(layer, activations.get(layer.x)) for layer in together]
        scales = np.maximum.reduce(each)
        inputs = moments_of_all(together, moments)
        first = together[0]
        same = before.get(first.name) if before and inputs is not None else None
        if same is not None and np.array_equal(same.scales, scales):
            steps = same.steps
        else:
            steps = _steps(first, scales, inputs, method.rounding)
        for layer in together:
            bias = corrected_bias(layer, steps, scales, moments.get(layer.name), method)
            layers_rounded[layer.name] = Rounded(steps, scales, bias)
    return layers_rounded


def _scales(layer: WeightedLayer, source: Activation | None) -> Float32:
    scales = weight_scales(layer.weight, layer.axis)
    if layer.bias is None or source is None or layer.bias.shape != scales.shape:
        return scales
    return floored_for_bias(scales, source.scale, layer.bias)


def _steps(
    layer: WeightedLayer, scales: Float32, moments: InputMoments | None, rounding: Rounding
) -> NDArray[np.int8]:
    if moments is None or rounding.solve is None:
        return quantize_weight(layer.weight, scales, layer.axis)
    matrix = layer.matrix(layer.weight).astype(np.float64)
    free = matrix != 0 if sparse_axis(layer.node, layer.weight) else None
    grouped = scales.astype(np.float64).reshape(layer.groups, -1)
    steps = solved(rounding.solve, matrix, moments, grouped, WEIGHT_LIMIT, free)
    return layer.weight_like(steps).astype(np.int8)


def solved(
    solve: Solver,
    matrix: Float64,
    moments: InputMoments,
    scales: Float64,
    limit: int,
    free: NDArray[np.bool_] | None = None,
) -> Float64:
    """Return what ``solve`` makes of a layer's weight, in the blocks of inputs of its moments.

    Integers like ``matrix`` (groups, outputs, inputs); ``scales`` is (groups, outputs).
    """
    groups, outputs, _ = matrix.shape
    blocks = moments.blocks

    def in_blocks(values: Array) -> Array:
        parts = values.reshape(groups, outputs, blocks, -1).transpose(0, 2, 1, 3)
        return parts.reshape(groups * blocks, outputs, -1)

    steps = solve(
        in_blocks(matrix),
        moments.covariance,
        np.repeat(scales, blocks, axis=0),
        limit,
        None if free is None else in_blocks(free),
    )
    steps = steps.reshape(groups, blocks, outputs, -1).transpose(0, 2, 1, 3)
    return steps.reshape(groups, outputs, -1)


def nearest(matrix: Float64, scales: Float64, limit: int) -> Float64:
    """Return integers of at most ``limit`` like ``matrix``; ``scales`` is (groups, outputs)."""
    return np.clip(np.rint(matrix / scales[:, :, None]), -limit, limit)


def corrected_bias(
    layer: WeightedLayer,
    steps: NDArray[np.int8],
    scales: Float32,
    moments: InputMoments | None,
    method: QuantizationMethod,
) -> Float32 | None:
    """Return the bias, higher by what rounding loses where the method corrects it."""
    if layer.bias is None or moments is None or not method.correct_bias:
        return layer.bias
    return np.asarray(layer.bias + lost_mean(layer, steps, scales, moments).astype(np.float32))


def lost_mean(
    layer: WeightedLayer, steps: NDArray[np.int8], scales: Float32, moments: InputMoments
) -> Float64:
    """Return by how much rounding moves the mean of each output, (channels,): (W - Wq) E[x].

    Added to the bias it brings the mean back: M. Nagel et al., "Data-free quantization through
    weight equalization and bias correction" (ICCV 2019, arXiv 1906.04721), section 4.2, with the
    mean of the calibration samples instead of one derived from batch normalisation.
    """
    grouped = scales.astype(np.float64).reshape(layer.groups, -1, 1)
    lost = layer.matrix(layer.weight) - layer.matrix(steps) * grouped
    mean = moments.mean.reshape(layer.groups, 1, -1)
    return np.asarray((lost * mean).sum(axis=2).ravel(), np.float64)


def with_rounded_weights(model: ModelProto, rounded: Mapping[str, Rounded]) -> ModelProto:
    """Return a float copy of the model whose layers have the rounded weights, and their biases."""
    graph = Graph(model)
    values: dict[str, tuple[Array | None, Array | None]] = {}
    for layer in layers_from(graph, weighted_nodes(graph)):
        if (integers := rounded.get(layer.name)) is not None:
            scales = integers.scales.astype(np.float64).reshape(layer.groups, -1, 1)
            weight = layer.weight_like(layer.matrix(integers.steps) * scales)
            has_bias = len(layer.node.input) > 2
            bias = integers.bias
            is_needed = bias is not None and (has_bias or bias.any())
            values[layer.name] = weight, bias if is_needed else None
    return with_layer_weights(model, values)


def with_layer_weights(
    model: ModelProto, values: Mapping[str, tuple[Array | None, Array | None]]
) -> ModelProto:
    """Return a copy of the model with other weights and biases, by layer name.

    What is None is left as it is. A weight keeps its name, by which a plan speaks of it, unless
    something else reads it as it was; what layers of one weight shared, they share where it is
    equal. A bias has a new name. Raises KeyError for a name that no node gives.
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    graph = Graph(model)
    taken = set(graph.names)
    nodes = {node.output[0]: node for node in copy.graph.node if node.output}
    # position and what the layer read up to there -> names and values of what is read instead
    written: dict[tuple[int, tuple[str, ...]], list[tuple[str, Array]]] = {}
    for layer, (weight, bias) in values.items():
        node = nodes[layer]
        before = tuple(node.input[1:3])
        for position, value in ((1, weight), (2, bias)):
            if value is None:
                continue
            stored = written.setdefault((position, before[:position]), [])
            name = next((name for name, other in stored if np.array_equal(other, value)), None)
            if name is None:
                name = free_name(f"{layer}.{('weight', 'bias')[position - 1]}", taken)
                taken.add(name)
                stored.append((name, value))
                tensor = numpy_helper.from_array(np.asarray(value, np.float32), name)
                copy.graph.initializer.append(tensor)
            del node.input[position : position + 1]
            node.input.insert(position, name)
            if position == 2 and node.op_type == "Gemm":
                set_attribute(node, "beta", 1.0)
    drop_unread(copy)
    left = {tensor.name for tensor in copy.graph.initializer}
    for (position, names), stored in written.items():
        if position == 1 and names[0] not in left:
            _rename(copy, stored[0][0], names[0])
    return copy


def _rename(model: ModelProto, weight: str, name: str) -> None:
    """Give another name to a weight that layers alone read, in place."""
    for tensor in model.graph.initializer:
        if tensor.name == weight:
            tensor.name = name
    for node in model.graph.node:
        for position, read in enumerate(node.input):
            if read == weight:
                node.input[position] = name
