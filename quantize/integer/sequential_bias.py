"""Bias correction layer by layer: each in a network whose earlier layers are quantized already.

The correction in closed form (rounding.lost_mean) makes up for the rounding of a layer's own
weight, as if its input were exact. This one measures how far the mean of each output channel has
moved in the quantized network, clipping and the errors of all layers before included: M. Nagel et
al., "Data-free quantization through weight equalization and bias correction" (ICCV 2019, arXiv
1906.04721), appendix D; A. Finkelstein et al., "Fighting quantization bias with bias" (arXiv
1906.03193).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from onnx import ModelProto

from ...core.graphs.graph import Graph, part_of, read_by
from ...core.session import Session
from ...core.streaming.tensor_stream import stream
from ...core.types import Array, Float64
from ..graph_parts.weighted_layers import WeightedLayer
from ..numeric.scales import quantize_bias
from ..rendering.plan import Plan
from ..rendering.qdq import computed_names, insert_qdq
from ..rendering.rounding import Rounded

Samples = Iterable[Mapping[str, Array]]


def sequential_biases(
    model: ModelProto,
    plan: Plan,
    rounded: Mapping[str, Rounded],
    layers: Sequence[WeightedLayer],
    samples: Samples,
    folder: Path,
) -> dict[str, Rounded]:
    """Return the layers with biases that keep the mean of each output channel, set in graph order.

    The quantized network runs once over the samples, in stretches that end at a layer each. What
    later ones read waits in ``folder``, so that one sample is in memory at a time. ``samples`` are
    read twice. Layers that cannot have a bias stay as they are.
    """
    changed = {layer.name: layer for layer in layers if layer.bias is not None}
    float_means = _means(model, changed, samples)
    quantized = insert_qdq(model, plan, rounded)
    originals = {inner: name for name, inner in computed_names(model, quantized).items()}
    ends = {inner for inner, name in originals.items() if name in changed}
    corrected = dict(rounded)
    run = _StretchwiseRun(folder, Graph(quantized).input_names, samples)
    for stretch in _stretches(quantized, ends):
        layer = changed[originals[stretch.end]]
        lost = float_means[layer.name] - run.mean_after(stretch, _channel_axis(layer))
        scale = plan.activations[layer.x].scale
        corrected[layer.name], moved = _moved(rounded[layer.name], scale, lost)
        run.shift(stretch.end, moved.astype(np.float32), _channel_axis(layer))
    return corrected


def _means(
    model: ModelProto, layers: Mapping[str, WeightedLayer], samples: Samples
) -> dict[str, Float64]:
    """Return layer name -> mean of each of its output channels in float."""
    sums: dict[str, Float64] = {}

    def take(values: Mapping[str, Array]) -> None:
        for name, layer in layers.items():
            mean = _mean(values[name], _channel_axis(layer))
            sums[name] = sums[name] + mean if name in sums else mean

    count = stream(model, list(layers), samples, take)
    return {name: total / count for name, total in sums.items()}


def _channel_axis(layer: WeightedLayer) -> int:
    return -1 if layer.node.op_type in ("Gemm", "MatMul") else 1


def _mean(values: Array, axis: int) -> Float64:
    axis %= values.ndim
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


@dataclass(frozen=True, eq=False)
class _Stretch:
    """A stretch of the quantized network that ends with a layer's result, ``end``."""

    model: ModelProto
    end: str
    done_with: tuple[str, ...]  # read by no later one


def _stretches(model: ModelProto, ends: set[str]) -> Iterator[_Stretch]:
    """Yield the network in stretches, in order, without what comes after the last end."""
    graph = Graph(model)
    kinds = {v.name: v for v in [*model.graph.input, *model.graph.value_info, *model.graph.output]}
    last_read = {name: i for i, node in enumerate(graph.nodes) for name in read_by(node)}
    available = set(graph.input_names)
    start = 0
    for stop, node in enumerate(graph.nodes):
        here = graph.nodes[start : stop + 1]
        computed = {name for member in here for name in member.output}
        later = [name for name in computed if last_read.get(name, -1) > stop]
        end = node.output[0]
        # ONNX Runtime wants to know the types of what a stretch reads
        if end not in ends or any(name not in kinds for name in later):
            continue
        read = {name for member in here for name in read_by(member)} & available
        outputs = list(dict.fromkeys([end, *later]))
        available |= set(outputs)
        dead = tuple(name for name in available if last_read.get(name, -1) <= stop)
        inputs = [kinds[name] for name in sorted(read)]
        yield _Stretch(part_of(model, here, inputs, outputs), end, dead)
        available -= set(dead)
        start = stop + 1


class _StretchwiseRun:
    """Samples on their way through the stretches of a network, with what waits for later ones."""

    def __init__(self, folder: Path, inputs: Sequence[str], samples: Samples) -> None:
        self._folder = folder
        self._numbers: dict[str, int] = {}  # tensor -> the number in the names of its files
        self._shifts: dict[str, tuple[Array, int]] = {}
        self._count = 0
        for feeds in samples:
            for name in inputs:
                np.save(self._file(name, self._count), feeds[name])
            self._count += 1

    def mean_after(self, stretch: _Stretch, axis: int) -> Float64:
        """Take all samples through a stretch; return the mean of each channel of its end."""
        session = Session(stretch.model, optimise=False)
        total: Float64 = np.zeros(1)
        for index in range(self._count):
            feeds = {name: self._load(name, index) for name in session.input_names}
            for name, value in zip(session.output_names, session.run(feeds), strict=True):
                if name == stretch.end:
                    total = total + _mean(value, axis)
                if name not in stretch.done_with:
                    np.save(self._file(name, index), value)
        for name in stretch.done_with:
            for index in range(self._count):
                self._file(name, index).unlink(missing_ok=True)
        return np.asarray(total / self._count)

    def shift(self, name: str, channels: Array, axis: int) -> None:
        """Add so much to each channel of a tensor from now on."""
        self._shifts[name] = channels, axis

    def _load(self, name: str, index: int) -> Array:
        value: Array = np.load(self._file(name, index))
        if name not in self._shifts:
            return value
        channels, axis = self._shifts[name]
        shape = [1] * value.ndim
        shape[axis] = -1
        return np.asarray(value + channels.reshape(shape))

    def _file(self, name: str, index: int) -> Path:
        number = self._numbers.setdefault(name, len(self._numbers))
        return self._folder / f"{number}-{index}.npy"
