"""Weights and biases as integers: rounded to nearest or by GPTQ, biases corrected for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...core.graphs.sparsity import sparse_axis
from ...core.types import Float64
from ..graph_parts.weighted_layers import Layer
from ..methods.gptq import gptq
from ..numeric.scales import WEIGHT_LIMIT, floored_for_bias, quantize_weight, weight_scales
from ..statistics.tensor_statistics import InputMoments
from .plan import Activation

Rounding = Literal["nearest", "gptq"]
Single = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Rounded:
    """A layer's weight as int8 with one scale a channel, and its bias (float32, or None)."""

    steps: NDArray[np.int8]
    scales: Single
    bias: Single | None


def rounded_layers(
    layers: Sequence[Layer],
    activations: Mapping[str, Activation],
    moments: Mapping[str, InputMoments],
    *,
    rounding: Rounding = "nearest",
    correct_bias: bool = False,
    known: Mapping[str, Rounded] | None = None,
) -> dict[str, Rounded]:
    """Layer name -> its integers. Layers without moments are rounded to nearest, uncorrected.

    ``known`` are layers rounded in the same way for other activations: where the scales of the
    weights are equal, so are the integers.
    """
    found = {}
    for layer in layers:
        source = activations.get(layer.x)
        scales = _scales(layer, source)
        seen = moments.get(layer.name)
        if seen is None:
            steps = quantize_weight(layer.weight, scales, layer.axis)
            found[layer.name] = Rounded(steps, scales, layer.bias)
            continue
        same = known.get(layer.name) if known else None
        if same is not None and np.array_equal(same.scales, scales):
            steps = same.steps
        else:
            steps = _steps(layer, scales, seen, rounding)
        bias = layer.bias
        if bias is not None and correct_bias:
            bias = bias + lost_mean(layer, steps, scales, seen).astype(np.float32)
        found[layer.name] = Rounded(steps, scales, bias)
    return found


def _scales(layer: Layer, source: Activation | None) -> Single:
    scales = weight_scales(layer.weight, layer.axis)
    if layer.bias is None or source is None or layer.bias.shape != scales.shape:
        return scales
    return floored_for_bias(scales, source.scale, layer.bias)


def _steps(
    layer: Layer, scales: Single, moments: InputMoments, rounding: Rounding
) -> NDArray[np.int8]:
    if rounding == "nearest":
        return quantize_weight(layer.weight, scales, layer.axis)
    matrix = layer.matrix(layer.weight).astype(np.float64)
    each = scales.astype(np.float64).reshape(layer.groups, -1)
    groups, outputs, _ = matrix.shape
    parts = matrix.reshape(groups, outputs, moments.blocks, -1).transpose(0, 2, 1, 3)
    parts = parts.reshape(groups * moments.blocks, outputs, -1)
    free = parts != 0 if sparse_axis(layer.node, layer.weight) else None
    repeated = np.repeat(each, moments.blocks, axis=0)
    steps = gptq(parts, moments.covariance, repeated, WEIGHT_LIMIT, free)
    steps = steps.reshape(groups, moments.blocks, outputs, -1).transpose(0, 2, 1, 3)
    return layer.weight_like(steps).astype(np.int8)


def nearest(matrix: Float64, scales: Float64, limit: int) -> Float64:
    """Integers (groups, outputs, inputs) of at most ``limit``; ``scales`` is (groups, outputs)."""
    return np.clip(np.rint(matrix / scales[:, :, None]), -limit, limit)


def lost_mean(
    layer: Layer, steps: NDArray[np.int8], scales: Single, moments: InputMoments
) -> Float64:
    """By how much rounding moves the mean of each output, (channels,): (W - Wq) E[x].

    Added to the bias it brings the mean back: M. Nagel et al., "Data-free quantization through
    weight equalization and bias correction" (ICCV 2019, arXiv 1906.04721), section 4.2, with the
    mean of the calibration samples instead of one derived from batch normalisation.
    """
    each = scales.astype(np.float64).reshape(layer.groups, -1, 1)
    lost = layer.matrix(layer.weight) - layer.matrix(steps) * each
    mean = moments.mean.reshape(layer.groups, 1, -1)
    return np.asarray((lost * mean).sum(axis=2).ravel(), np.float64)
