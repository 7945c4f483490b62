"""What a layer of the compiler's table has to do, in the units that the latency estimate charges.

The table counts cycles for convolutions and matrix products only. The rest follows from the shapes:
what goes through a lookup or an exponential, the memory that the other layers move, and what is
left to the CPU.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, prod

from ...core.types import Shape
from ..chips.compiler_log import Layer
from ..chips.targets import Target

LOOKUPS = ("ExSwish", "exSwish", "Sigmoid", "Gelu", "Mish", "Tanh", "Softmax", "exSDP")
_COPIES = ("Transpose", "Reshape", "Concat", "Split", "Slice", "Gather", "Expand", "exDataConvert")
# What 2:4 sparse layers take of the cycles, and of the weights (benchmarks/latency/sparse_pairs.py)
_SPARSE_CYCLES, _SPARSE_WEIGHTS = 0.5, 0.77
_BINARY = ("Mul", "Add", "Sub", "Div")
_ATTENTION = "exSDP"
# How much longer than a copy of the same bytes an operator takes, as timed on RK3588 boards.
_TIMES_A_COPY = {"Resize": 1.3, "MaxPool": 2.0, "AveragePool": 2.0, "Transpose": 5.0, "exNorm": 6.0}
# The same of reading an image, whose pixels are packed.
_IMAGE_CHANNELS, _TIMES_A_READ = 4, 4.0
_COPIED_ON_CPU = 0.1  # what an element that the CPU only moves costs beside one that it computes
_BYTES = {"INT8": 1, "UINT8": 1, "BOOL": 1, "INT16": 2, "FLOAT16": 2, "INT64": 8}
_BLOCK = 16  # bytes of one pixel's channels that are stored together
_MILLION = 1e6


@dataclass(frozen=True)
class Work:
    """The first five are done at the same time, so that they overlap; the rest is added."""

    compute: float = 0.0  # million cycles of arithmetic
    output: float = 0.0  # million elements that a layer with cycles writes
    activation: float = 0.0  # million elements through a lookup or an exponential
    moved: float = 0.0  # megabytes in and out of a layer without cycles, as many as a copy's
    broadcast: float = 0.0  # the same of a product or sum of two tensors of different shapes
    read: float = 0.0  # megabytes of inputs and weights of a layer with cycles
    scores: float = 0.0  # million scores of attention
    launch: float = 0.0  # 1 for a layer of the NPU
    host: float = 0.0  # million elements on the CPU
    handover: float = 0.0  # 1 where the CPU hands the work back to the NPU
    tail: float = 0.0  # 1 for a layer of the CPU after all those of the NPU


def works_of(layers: Sequence[Layer], target: Target) -> tuple[Work, ...]:
    """Return the work of every layer; none for the rows that stand for inputs and outputs.

    >>> from ..chips.targets import find_target
    >>> row = Layer(1, "Add", "INT8", "NPU", ((1, 20, 8, 8),) * 2, ((1, 20, 8, 8),), 0, 0, 0, "a")
    >>> work, = works_of([row], find_target("rk3588"))
    >>> work.launch, work.moved  # 20 channels are stored as 32
    (1.0, 0.006144)
    """
    usual = _usual_type(layers)
    turns = _turns(layers)
    return tuple(
        _work_of(_prepared(layer, usual, target), target, turn)
        for layer, turn in zip(layers, turns, strict=True)
    )


def _usual_type(layers: Sequence[Layer]) -> str:
    types = Counter(layer.dtype for layer in layers if layer.dtype != "FLOAT")
    return types.most_common(1)[0][0] if types else "FLOAT"


def _prepared(layer: Layer, usual: str, target: Target) -> Layer:
    layer = _retyped(layer, usual)
    is_sparse = layer.sparse_ratio > 0 and len(layer.input_shapes) > 1
    return _as_computed(layer, target) if is_sparse else layer


def _as_computed(layer: Layer, target: Target) -> Layer:
    """A 2:4 sparse row has the arithmetic of a dense one, and no traffic for its weights."""
    weights = _SPARSE_WEIGHTS * prod(layer.input_shapes[1]) * _BYTES.get(layer.dtype, 4)
    ddr = layer.ddr_cycles + round(weights * target.ddr_cycles_per_kb / 1024)
    return replace(layer, npu_cycles=round(_SPARSE_CYCLES * layer.npu_cycles), ddr_cycles=ddr)


def _retyped(layer: Layer, usual: str) -> Layer:
    """A row of the NPU has the type of its first input: FLOAT means that this is a scalar."""
    if layer.dtype == "FLOAT" and layer.runs_on == "NPU":
        return replace(layer, dtype=usual)
    return layer


def _turns(layers: Sequence[Layer]) -> list[str]:
    """Say of every layer of the CPU whether the NPU goes on next ("handover"), later or never."""
    turns: list[str] = []
    following, npu_follows = "", False
    for layer in reversed(layers):
        turn = ""
        if not layer.is_boundary:
            if layer.runs_on != "NPU":
                turn = "tail" if not npu_follows else "handover" * (following == "NPU")
            following = layer.runs_on
            npu_follows |= following == "NPU"
        turns.append(turn)
    return turns[::-1]


def _work_of(layer: Layer, target: Target, turn: str) -> Work:
    if layer.is_boundary:
        return Work()
    if layer.runs_on != "NPU":
        part = _COPIED_ON_CPU if any(name in layer.op for name in _COPIES) else 1.0
        elements = part * _elements(layer) / _MILLION
        return Work(host=elements, handover=turn == "handover", tail=turn == "tail")
    activation = _activated(layer, target) / _MILLION
    return _counted(layer, target, activation) if layer.total_cycles else _copied(layer, activation)


def _counted(layer: Layer, target: Target, activation: float) -> Work:
    """A convolution or a matrix product: the table has its cycles."""
    size = _size(layer)
    traffic = layer.ddr_cycles * 1024 / target.ddr_cycles_per_kb
    written = size * sum(_padded(shape, _BLOCK // size) for shape in layer.output_shapes)
    stored = _SPARSE_WEIGHTS if layer.sparse_ratio > 0 else 1.0
    weights = stored * size * prod(layer.input_shapes[1]) if len(layer.input_shapes) > 1 else 0
    step = _channel_step(layer, target)
    times = _TIMES_A_READ if _is_of_an_image(layer) else 1.0
    return Work(
        compute=layer.npu_cycles / _MILLION,
        output=sum(_padded(shape, step) for shape in layer.output_shapes) / _MILLION,
        activation=activation,
        read=(times * max(traffic - written, weights) + _read_again(layer, target)) / _MILLION,
        launch=1.0,
    )


def _copied(layer: Layer, activation: float) -> Work:
    moved = _times_a_copy(layer) * bytes_moved(layer) / _MILLION
    is_broadcast = layer.op in _BINARY and len(set(layer.input_shapes)) > 1
    return Work(
        activation=activation,
        moved=0.0 if is_broadcast else moved,
        broadcast=moved if is_broadcast else 0.0,
        scores=_scores(layer) / _MILLION,
        launch=1.0,
    )


def _read_again(layer: Layer, target: Target) -> float:
    """Return the bytes that are read once more for each part of what exceeds the core's buffer.

    Half of it is for inputs, half for weights, and the cheaper of the two orders is taken. The
    table counts every byte once.
    """
    if "Conv" not in layer.op or len(layer.input_shapes) < 2 or _is_depthwise(layer):
        return 0.0
    half, size = target.core.buffer_kib * 512, _size(layer)
    inputs = size * _padded(layer.input_shapes[0], _BLOCK // size)
    weights = size * prod(layer.input_shapes[1])
    if weights <= 2 * half:
        return 0.0
    return min((ceil(inputs / half) - 1) * weights, (ceil(weights / half) - 1) * inputs)


def _is_of_an_image(layer: Layer) -> bool:
    shape = layer.input_shapes[0] if layer.input_shapes else ()
    return "Conv" in layer.op and len(shape) == 4 and shape[1] <= _IMAGE_CHANNELS


def _times_a_copy(layer: Layer) -> float:
    if _regroups_channels(layer):
        return _TIMES_A_COPY["Transpose"]
    return next((times for name, times in _TIMES_A_COPY.items() if name in layer.op), 1.0)


def _regroups_channels(layer: Layer) -> bool:
    """Return whether a Reshape takes channels apart that are stored in one block."""
    if layer.op != "Reshape" or not layer.output_shapes:
        return False
    before, after = layer.input_shapes[0][1:2], layer.output_shapes[0][1:2]
    return before != after and any(size % _BLOCK for size in (*before, *after))


def _scores(layer: Layer) -> int:
    if _ATTENTION not in layer.op or len(layer.input_shapes) < 2:
        return 0
    queries, keys = layer.input_shapes[:2]
    return queries[0] * queries[-1] * keys[-1]


def is_lookup(layer: Layer) -> bool:
    """Return whether the layer has an activation that is more than a comparison."""
    return any(name in layer.op for name in LOOKUPS)


def _activated(layer: Layer, target: Target) -> int:
    if not is_lookup(layer):
        return 0
    step = _channel_step(layer, target) if layer.total_cycles else 1
    return sum(_padded(shape, step) for shape in layer.output_shapes)


def _channel_step(layer: Layer, target: Target) -> int:
    """The channels of a block that arithmetic and activation work on."""
    if _is_depthwise(layer):
        return target.core.depthwise_step
    array = target.core.float16 if layer.dtype == "FLOAT16" else target.core.int8
    return array.cout if array is not None else 1


def _is_depthwise(layer: Layer) -> bool:
    """The table writes the weights of a depthwise layer as one channel that has many inputs."""
    if len(layer.input_shapes) < 2 or not layer.output_shapes or "Conv" not in layer.op:
        return False
    weights, written = layer.input_shapes[1], layer.output_shapes[0]
    return len(weights) == len(written) == 4 and weights[0] == 1 < written[1]


def _size(layer: Layer) -> int:
    return _BYTES.get(layer.dtype, 4)


def _elements(layer: Layer) -> int:
    return sum(prod(shape) for shape in layer.output_shapes)


def _padded(shape: Shape, step: int) -> int:
    """Elements with the channels (axis 1) in whole blocks."""
    if len(shape) < 2 or not shape[1]:
        return prod(shape)
    return prod(shape) // shape[1] * ceil(shape[1] / step) * step


def bytes_moved(layer: Layer) -> int:
    """Return the bytes read and written; a Split row lists one output, a Concat row too few."""
    size = _size(layer)
    read = sum(_padded(shape, _BLOCK // size) for shape in layer.input_shapes)
    written = sum(_padded(shape, _BLOCK // size) for shape in layer.output_shapes)
    if "Concat" in layer.op:
        read = written
    if "Split" in layer.op:
        written = read
    return (read + written) * size
