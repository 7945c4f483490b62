"""Bias correction layer by layer: each in a network whose earlier layers are quantized already.

The correction in closed form (rounding.lost_mean) makes up for the rounding of a layer's own
weight, as if its input were exact. This one measures how far the mean of each output channel has
moved in the quantized network, clipping and the errors of all layers before included: M. Nagel et
al., "Data-free quantization through weight equalization and bias correction" (ICCV 2019, arXiv
1906.04721), appendix D; A. Finkelstein et al., "Fighting quantization bias with bias" (arXiv
1906.03193).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, ValueInfoProto, helper

from ...core.graphs.graph import Graph, read_by
from ...core.session import Session
from ...core.streaming.tensor_stream import stream
from ...core.types import Array, Float64
from ..graph_parts.weighted_layers import Layer
from ..numeric.scales import quantize_bias
from ..rendering.plan import Plan
from ..rendering.qdq import computed_names, render
from ..rendering.rounding import Rounded

Samples = Iterable[Mapping[str, Array]]


def sequential_biases(
    model: ModelProto,
    plan: Plan,
    rounded: Mapping[str, Rounded],
    layers: Sequence[Layer],
    samples: Samples,
    folder: Path,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Rounded]:
    """The layers with the biases that keep the mean of each output channel, set in graph order.

    The quantized network runs once over the samples, in parts that end at a layer each. What later
    parts read waits in ``folder``, so that one sample is in memory at a time. ``samples`` are read
    twice. Layers that cannot have a bias stay as they are.
    """
    changed = {layer.name: layer for layer in layers if layer.bias is not None}
    wanted = _means(model, changed, samples)
    quantized = render(model, plan, rounded)
    made = {inner: name for name, inner in computed_names(model, quantized).items()}
    parts = list(_parts(quantized, {inner for inner in made if made[inner] in changed}))
    corrected = dict(rounded)
    running = _Running(folder, Graph(quantized).input_names, samples)
    for done, part in enumerate(parts):
        on_progress(done, len(parts))
        layer = changed[made[part.end]]
        lost = wanted[layer.name] - running.mean_after(part, _channel_axis(layer))
        scale = plan.activations[layer.x].scale
        corrected[layer.name], moved = _moved(rounded[layer.name], scale, lost)
        running.shift(part.end, moved.astype(np.float32), _channel_axis(layer))
    return corrected


def _means(model: ModelProto, layers: Mapping[str, Layer], samples: Samples) -> dict[str, Float64]:
    """Layer name -> mean of each of its output channels in float."""
    sums: dict[str, Float64] = {}

    def take(values: Mapping[str, Array]) -> None:
        for name, layer in layers.items():
            found = _mean(values[name], _channel_axis(layer))
            sums[name] = sums[name] + found if name in sums else found

    count = stream(model, list(layers), samples, take)
    return {name: total / count for name, total in sums.items()}


def _channel_axis(layer: Layer) -> int:
    return -1 if layer.node.op_type in ("Gemm", "MatMul") else 1


def _mean(values: Array, axis: int) -> Float64:
    axis %= values.ndim
    others = tuple(one for one in range(values.ndim) if one != axis)
    return np.asarray(values.mean(axis=others, dtype=np.float64))


def _moved(one: Rounded, input_scale: float, lost: Float64) -> tuple[Rounded, Float64]:
    """The layer with a bias that is higher by what is lost, and by how much it is, as int32."""
    assert one.bias is not None
    unit = np.float64(input_scale) * one.scales
    before = quantize_bias(one.bias, input_scale, one.scales) * unit
    after = (before + lost).astype(np.float32)
    moved = quantize_bias(after, input_scale, one.scales) * unit - before
    return replace(one, bias=after), moved


@dataclass(frozen=True, eq=False)
class _Part:
    """A stretch of the quantized network that ends with a layer's result, ``end``."""

    model: ModelProto
    end: str
    done_with: tuple[str, ...]  # read by no later part


def _parts(model: ModelProto, ends: set[str]) -> Iterator[_Part]:
    """The network in parts, in order; what comes after the last end is left out."""
    graph = Graph(model)
    kinds = {v.name: v for v in [*model.graph.input, *model.graph.value_info, *model.graph.output]}
    last_read = {name: i for i, node in enumerate(graph.nodes) for name in read_by(node)}
    known = set(graph.input_names)
    start = 0
    for stop, node in enumerate(graph.nodes):
        here = graph.nodes[start : stop + 1]
        made = {name for one in here for name in one.output}
        later = [name for name in made if last_read.get(name, -1) > stop]
        end = node.output[0]
        # ONNX Runtime wants to know the types of what a part reads
        if end not in ends or any(name not in kinds for name in later):
            continue
        read = {name for one in here for name in read_by(one)} & known
        outputs = list(dict.fromkeys([end, *later]))
        dead = tuple(name for name in known | set(outputs) if last_read.get(name, -1) <= stop)
        yield _Part(_cut(model, here, [kinds[name] for name in sorted(read)], outputs), end, dead)
        known = (known | set(outputs)) - set(dead)
        start = stop + 1


def _cut(
    model: ModelProto,
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[str],
) -> ModelProto:
    read = {name for node in nodes for name in read_by(node)}
    constants = [tensor for tensor in model.graph.initializer if tensor.name in read]
    made = [ValueInfoProto(name=name) for name in outputs]
    graph = helper.make_graph(list(nodes), "part", list(inputs), made, constants)
    part = helper.make_model(graph, opset_imports=list(model.opset_import))
    part.ir_version = model.ir_version
    return part


class _Running:
    """Samples on their way through the parts of a network, with what waits for later parts."""

    def __init__(self, folder: Path, inputs: Sequence[str], samples: Samples) -> None:
        self._folder = folder
        self._numbers: dict[str, int] = {}  # tensor -> the number in the names of its files
        self._shifts: dict[str, tuple[Array, int]] = {}
        self._count = 0
        for feeds in samples:
            for name in inputs:
                np.save(self._file(name, self._count), feeds[name])
            self._count += 1

    def mean_after(self, part: _Part, axis: int) -> Float64:
        """Take all samples through a part; the mean of each channel of its end."""
        session = Session(part.model, optimise=False)
        total: Float64 = np.zeros(1)
        for index in range(self._count):
            feeds = {name: self._load(name, index) for name in session.input_names}
            for name, value in zip(session.output_names, session.run(feeds), strict=True):
                if name == part.end:
                    total = total + _mean(value, axis)
                if name not in part.done_with:
                    np.save(self._file(name, index), value)
        for name in part.done_with:
            for index in range(self._count):
                self._file(name, index).unlink(missing_ok=True)
        return np.asarray(total / self._count)

    def shift(self, name: str, channels: Array, axis: int) -> None:
        """From now on a tensor is larger by so much in each channel."""
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
