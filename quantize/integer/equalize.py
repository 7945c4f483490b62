"""Equalization: the channels of a tensor brought to similar size, the function of the network kept.

Where a layer's result reaches one other layer and nothing else, through nothing or an activation f
with f(s x) = s f(x) for s > 0, each of its channels may be divided by a factor that the other layer
multiplies by: M. Nagel et al., "Data-free quantization through weight equalization and bias
correction" (ICCV 2019, arXiv 1906.04721), section 4.1. There the weights of both layers have one
scale each. Here a weight has a scale for each of its outputs, so what is brought together are the
channels of the tensor between, which has one scale for all: its values count where there the first
weight does. ReLU6 and the like are left alone: f is another function there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from onnx import ModelProto, NodeProto, numpy_helper

from ...core.errors import ModelError
from ...core.graphs.graph import Graph, attributes, output_axis
from ...core.streaming.tensor_stream import stream
from ...core.types import Array, Float64
from ..graph_parts.placement import weighted_nodes
from ..graph_parts.weighted_layers import WeightedLayer, layers_from
from ..numeric.scales import INT8_HIGH, INT8_LOW, WEIGHT_LIMIT, along
from ..rendering.plan import Plan

_HOMOGENEOUS = ("Relu", "LeakyRelu", "PRelu")
_LAYERS = ("Conv", "Gemm", "MatMul")
# how much of the difference between channels is moved into the weights: half, as in the paper, or
# more of it, where the second layer is depthwise and its weights have scales of their own anyway
_EXPONENTS = (0.5, 0.75, 1.0)
_MOST = 64.0  # a factor, so that no weight or value leaves what float16 holds
# of the noise that a pair brings: from which on it is scaled, and what one of them must have for
# another pass over the samples to pay
_LEAST_GAIN_DB, _WORTHWHILE_DB = 1.0, 3.0


@dataclass(frozen=True, eq=False)
class Pair:
    """Two layers with ``between``, which the second one reads, and nothing else does."""

    first: WeightedLayer
    between: str
    second: WeightedLayer


def pairs_of(graph: Graph) -> tuple[Pair, ...]:
    """Return the pairs of layers whose channels can be scaled against each other, in order."""
    plain = [node for node in weighted_nodes(graph) if _is_plain(graph, node)]
    layers = {layer.name: layer for layer in layers_from(graph, plain)}
    pairs = []
    for first in layers.values():
        last, reader = first.node, _only_reader(graph, first.node)
        if reader is not None and _keeps_factors(graph, reader):
            last, reader = reader, _only_reader(graph, reader)
        second = layers.get(reader.output[0]) if reader is not None else None
        if second is None or second.x != last.output[0]:
            continue
        if (first.node.op_type == "Conv") == (second.node.op_type == "Conv"):
            pairs.append(Pair(first, second.x, second))
    return tuple(pairs)


def _is_plain(graph: Graph, node: NodeProto) -> bool:
    """Return whether the weight and bias are constants of this layer alone, one bias a channel."""
    if node.op_type not in _LAYERS or attributes(node).get("transA"):
        return False
    constants = [name for name in node.input[1:] if name]
    alone = all(
        name in graph.weights and len(graph.consumers[name]) == 1 and name not in graph.output_names
        for name in constants
    )
    channels = graph.shapes[node.input[1]][output_axis(node)]
    return alone and all(graph.shapes[name] == (channels,) for name in constants[1:])


def _only_reader(graph: Graph, node: NodeProto) -> NodeProto | None:
    readers = graph.consumers.get(node.output[0], [])
    shown = node.output[0] in graph.output_names
    return readers[0] if len(readers) == 1 and not shown else None


def _keeps_factors(graph: Graph, node: NodeProto) -> bool:
    is_computed = node.op_type == "PRelu" and node.input[1] not in graph.weights
    return node.op_type in _HOMOGENEOUS and not is_computed


def _matrix(layer: WeightedLayer, weight: Array) -> Array:
    """Return a layer's weight as (groups, outputs of a group, inputs of a group, taps)."""
    matrix = layer.matrix(weight)
    taps = prod(weight.shape[2:])
    return matrix.reshape(*matrix.shape[:2], -1, taps)


def equalized(model: ModelProto, factors: Mapping[str, Iterable[float]]) -> ModelProto:
    """Return a copy of a prepared model that computes the same, with other ranges of channels.

    ``factors`` maps the tensor between the layers of a pair to what its channels are divided by.
    All names stay.
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    graph = Graph(model)
    values = dict(graph.weights)
    for pair in pairs_of(graph):
        if pair.between in factors:
            _scale(pair, np.asarray(list(factors[pair.between]), np.float64), values)
    for tensor in copy.graph.initializer:
        if values[tensor.name] is not graph.weights[tensor.name]:
            single = values[tensor.name].astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(single, tensor.name))
    return copy


def as_planned(model: ModelProto, plan: Plan) -> ModelProto:
    """Return the prepared model that a plan is about: with its channels equalized, if they were.

    Raises ModelError for a plan of another model.
    """
    if not plan.equalization:
        return model
    graph = Graph(model)
    channels = {pair.between: pair.first.channels for pair in pairs_of(graph)}
    for name, factors in plan.equalization.items():
        if channels.get(name) != len(factors):
            raise ModelError(
                f"the plan is for another model: it scales {len(factors)} channels of {name!r}",
                "quantize this model, or give the one that the plan was made for",
            )
    return equalized(model, plan.equalization)


def _scale(pair: Pair, factors: Float64, values: dict[str, Array]) -> None:
    first, second = pair.first, pair.second
    for name, axis in zip(first.node.input[1:3], (first.axis, 0), strict=False):
        if name:
            values[name] = values[name] / along(factors, axis, values[name].ndim)
    matrix = _matrix(second, values[second.weight_name])
    scaled = matrix * factors.reshape(matrix.shape[0], 1, -1, 1)
    values[second.weight_name] = second.weight_like(scaled)


def equalization(
    model: ModelProto, samples: Iterable[Mapping[str, Array]], *, least_db: float = _WORTHWHILE_DB
) -> dict[str, tuple[float, ...]]:
    """Return tensor -> factor of each channel, for the pairs that are expected to gain by it.

    ``samples`` say how large the channels become. The expected gain is that of the noise of the
    tensor between and of the second weight, both rounded to int8. None are named when not one gains
    ``least_db``.
    """
    graph = Graph(model)
    pairs = pairs_of(graph)
    sizes = _sizes(model, pairs, samples) if pairs else {}
    factors_by_tensor, gains = {}, [0.0]
    for pair in pairs:
        matrix = _matrix(pair.second, pair.second.weight.astype(np.float64))
        factors, gain = _best_factors(sizes[pair.between], matrix)
        gains.append(gain)
        if gain >= _LEAST_GAIN_DB:
            # as they are stored: in decimals that give the same float32
            factors_by_tensor[pair.between] = tuple(map(float, factors.astype(np.float32)))
    return factors_by_tensor if max(gains) >= least_db else {}


@dataclass(frozen=True, eq=False)
class Sizes:
    """Smallest and largest value and mean square of each channel of a tensor, (channels,)."""

    low: Float64
    high: Float64
    square: Float64


def _sizes(
    model: ModelProto, pairs: Sequence[Pair], samples: Iterable[Mapping[str, Array]]
) -> dict[str, Sizes]:
    spatial = {pair.between: pair.second.node.op_type == "Conv" for pair in pairs}
    sizes: dict[str, Sizes] = {}

    def take(values: Mapping[str, Array]) -> None:
        for name, is_spatial in spatial.items():
            rows = np.moveaxis(values[name], 1 if is_spatial else -1, 0)
            rows = rows.reshape(len(rows), -1).astype(np.float64)
            before = sizes.get(name, Sizes(np.zeros(1), np.zeros(1), np.zeros(1)))
            sizes[name] = Sizes(
                np.minimum(before.low, rows.min(axis=1)),
                np.maximum(before.high, rows.max(axis=1)),
                before.square + np.square(rows).mean(axis=1),
            )

    count = stream(model, list(spatial), samples, take)
    return {
        name: replace(channels, square=channels.square / count) for name, channels in sizes.items()
    }


def _best_factors(sizes: Sizes, matrix: Array) -> tuple[Float64, float]:
    """Return the best of three ways to share between values and weights, and its gain in dB."""
    before = noise_of(sizes, matrix, np.ones(len(sizes.high)))
    choices = [factors_of(sizes, matrix, exponent) for exponent in _EXPONENTS]
    best = min(choices, key=lambda factors: noise_of(sizes, matrix, factors))
    after = noise_of(sizes, matrix, best)
    return best, 10 * float(np.log10(before / after)) if after else 0.0


def factors_of(sizes: Sizes, matrix: Array, exponent: float) -> Float64:
    """Return divisors of channels: (largest value)^e / (largest share of an output's weight)^(1-e).

    Those of channels that are always 0, or of no weight, are 1. With e = 1 all channels become
    equal.

    >>> sizes = Sizes(np.zeros(2), np.array([16.0, 1.0]), np.ones(2))
    >>> factors_of(sizes, np.ones((2, 1, 1, 1)), 1.0).tolist()
    [4.0, 0.25]
    >>> factors_of(sizes, np.ones((1, 3, 2, 1)), 0.5).tolist()
    [2.0, 0.5]
    """
    largest = np.maximum(sizes.high, -sizes.low)
    magnitudes = np.abs(matrix)
    whole = magnitudes.max(axis=(2, 3), keepdims=True)
    share = (magnitudes / np.where(whole > 0, whole, 1)).max(axis=(1, 3)).ravel()
    alive = (largest > 0) & (share > 0)
    logs = np.log2(np.where(alive, largest, 1)) * exponent
    logs -= np.log2(np.where(alive, share, 1)) * (1 - exponent)
    centre = logs[alive].mean() if alive.any() else 0.0
    limited = np.clip(logs - centre, -np.log2(_MOST), np.log2(_MOST))
    return np.where(alive, np.exp2(limited), 1.0)


def noise_of(sizes: Sizes, matrix: Array, factors: Float64) -> float:
    """Return the expected noise of all outputs, int8 values and weights each rounded uniformly."""
    scaled = matrix * factors.reshape(matrix.shape[0], 1, -1, 1)
    span = (sizes.high / factors).max() - (sizes.low / factors).min()
    step = span / (INT8_HIGH - INT8_LOW)
    of_values = step**2 * np.square(scaled).sum()
    squares = (sizes.square / factors**2).reshape(matrix.shape[0], -1).sum(axis=1)
    steps = np.abs(scaled).max(axis=(2, 3)) / WEIGHT_LIMIT
    of_weights = (np.square(steps) * squares[:, None]).sum() * matrix.shape[3]
    return float(of_values + of_weights) / 12
