"""Bias correction layer by layer: each in a network whose earlier layers are quantized already.

The correction in closed form (rounding.lost_mean) makes up for the rounding of a layer's own
weight, as if its input were exact. This one measures how far the mean of each output channel has
moved in the quantized network, clipping and the errors of all layers before included: M. Nagel et
al., "Data-free quantization through weight equalization and bias correction" (ICCV 2019, arXiv
1906.04721), appendix D; A. Finkelstein et al., "Fighting quantization bias with bias" (arXiv
1906.03193).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from onnx import ModelProto

from ...core.streaming.layerwise import LayerwiseExecutor
from ...core.streaming.tensor_stream import stream
from ...core.types import Array, Feeds, Float64
from ..graph_parts.weighted_layers import WeightedLayer
from ..numeric.scales import along, quantize_bias
from ..rendering.plan import Plan
from ..rendering.qdq import computed_names, insert_qdq
from ..rendering.rounding import Rounded


def sequential_biases(
    model: ModelProto,
    plan: Plan,
    rounded: Mapping[str, Rounded],
    layers: Sequence[WeightedLayer],
    samples: Iterable[Feeds],
) -> dict[str, Rounded]:
    """Return the layers with biases that keep the mean of each output channel, set in graph order.

    The quantized network runs once over the samples, in pieces that end at a layer each.
    ``samples`` are read twice. Layers that cannot have a bias stay as they are.
    """
    changed = {layer.name: layer for layer in layers if layer.bias is not None}
    float_means = _means(model, changed, samples)
    quantized = insert_qdq(model, plan, rounded)
    layer_at = {
        inner: changed[name]
        for name, inner in computed_names(model, quantized).items()
        if name in changed
    }
    corrected = dict(rounded)
    executor = LayerwiseExecutor(quantized, samples, optimise=False)
    executor.keep(layer_at)
    for position, node in enumerate(quantized.graph.node):
        layer = layer_at.get(end := node.output[0])
        if layer is None:
            continue
        executor.run_until(position + 1)
        total = sum(_mean(value, layer) for value in executor.values(end))
        lost = float_means[layer.name] - total / len(executor)
        scale = plan.activations[layer.x].scale
        corrected[layer.name], moved = _moved(rounded[layer.name], scale, lost)
        rank = executor.values(end)[0].ndim
        executor.shift(end, along(moved.astype(np.float32), _channel_axis(layer, rank), rank))
        executor.drop(end)
    return corrected


def _means(
    model: ModelProto, layers: Mapping[str, WeightedLayer], samples: Iterable[Feeds]
) -> dict[str, Float64]:
    """Return layer name -> mean of each of its output channels in float."""
    sums: dict[str, Float64] = {}

    def take(values: Mapping[str, Array]) -> None:
        for name, layer in layers.items():
            sums[name] = sums.get(name, 0) + _mean(values[name], layer)

    count = stream(model, list(layers), samples, take)
    return {name: total / count for name, total in sums.items()}


def _channel_axis(layer: WeightedLayer, rank: int) -> int:
    return rank - 1 if layer.node.op_type in ("Gemm", "MatMul") else 1


def _mean(values: Array, layer: WeightedLayer) -> Float64:
    """Return the mean of each output channel of a layer."""
    axis = _channel_axis(layer, values.ndim)
    others = tuple(index for index in range(values.ndim) if index != axis)
    return np.asarray(values.mean(axis=others, dtype=np.float64))


def _moved(layer: Rounded, input_scale: float, lost: Float64) -> tuple[Rounded, Float64]:
    """Return the layer, its bias higher by what is lost, and by how much it is so as int32."""
    assert layer.bias is not None
    unit = np.float64(input_scale) * layer.scales
    before = quantize_bias(layer.bias, input_scale, layer.scales) * unit
    after = (before + lost).astype(np.float32)
    moved = quantize_bias(after, input_scale, layer.scales) * unit - before
    return replace(layer, bias=after), moved
