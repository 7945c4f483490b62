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
_BYTES = {"INT8": 1, "UINT8": 1, "BOOL": 1, "INT16": 2, "FLOAT16": 2, "INT64": 8}
_BLOCK = 16  # bytes of one pixel's channels that are stored together
_MILLION = 1e6


@dataclass(frozen=True)
class Form:
    """What the fit has chosen besides the coefficients (benchmarks/latency/fit.py).

    ``stem`` is the part of the compiler's cycles that a layer with up to four input channels takes,
    ``padded`` whether activations work on whole blocks of channels, ``exponent`` how far arithmetic
    and memory hide each other (1: not at all), ``copy`` what an element that the CPU only moves
    costs beside one that it computes.
    """

    stem: float = 0.25
    padded: bool = True
    exponent: float = 4.0
    copy: float = 0.1


FORM = Form()


@dataclass(frozen=True)
class Work:
    """The first four overlap each other; the rest is added."""

    compute: float = 0.0  # million cycles of arithmetic
    traffic: float = 0.0  # million cycles of memory traffic
    activation: float = 0.0  # million elements through a lookup or an exponential
    moved: float = 0.0  # megabytes in and out of a layer that the table gives no cycles
    launch: float = 0.0  # 1 for a layer of the NPU
    host: float = 0.0  # million elements on the CPU
    handover: float = 0.0  # 1 for a layer of the CPU


def works_of(layers: Sequence[Layer], target: Target, form: Form = FORM) -> tuple[Work, ...]:
    """Return the work of every layer; none for the rows that stand for inputs and outputs.

    >>> from ..chips.targets import find_target
    >>> row = Layer(1, "Add", "INT8", "NPU", ((1, 20, 8, 8),) * 2, ((1, 20, 8, 8),), 0, 0, 0, "a")
    >>> work, = works_of([row], find_target("rk3588"))
    >>> work.launch, work.moved  # 20 channels are stored as 32
    (1.0, 0.006144)
    """
    usual = _usual_type(layers)
    return tuple(_work(_prepared(layer, usual, target), target, form) for layer in layers)


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


def _work(layer: Layer, target: Target, form: Form) -> Work:
    if layer.is_boundary:
        return Work()
    if layer.runs_on != "NPU":
        part = form.copy if any(name in layer.op for name in _COPIES) else 1.0
        return Work(host=part * _elements(layer) / _MILLION, handover=1.0)
    counted = layer.total_cycles > 0
    return Work(
        compute=_part_of_cycles(layer, form) * layer.npu_cycles / _MILLION,
        traffic=layer.ddr_cycles / _MILLION,
        activation=_activated(layer, target, form) / _MILLION,
        moved=0.0 if counted else bytes_moved(layer) / _MILLION,
        launch=1.0,
    )


def _part_of_cycles(layer: Layer, form: Form) -> float:
    """The compiler counts a whole block of input channels, where the NPU has a mode for images."""
    if "Conv" not in layer.op or not layer.input_shapes:
        return 1.0
    shape = layer.input_shapes[0]
    return form.stem if len(shape) == 4 and shape[1] <= 4 else 1.0


def is_lookup(layer: Layer) -> bool:
    """Return whether the layer has an activation that is more than a comparison."""
    return any(name in layer.op for name in LOOKUPS)


def _activated(layer: Layer, target: Target, form: Form) -> float:
    if not is_lookup(layer):
        return 0.0
    if "exSDP" in layer.op and len(layer.input_shapes) > 1:
        queries, keys = layer.input_shapes[:2]
        return _elements(layer) + queries[0] * queries[-1] * keys[-1]
    step = _channel_step(layer, target) if form.padded and layer.total_cycles else 1
    return sum(_padded(shape, step) for shape in layer.output_shapes)


def _channel_step(layer: Layer, target: Target) -> int:
    array = target.core.float16 if layer.dtype == "FLOAT16" else target.core.int8
    return array.cout if array is not None else 1


def _elements(layer: Layer) -> int:
    return sum(prod(shape) for shape in layer.output_shapes)


def _padded(shape: Shape, step: int) -> int:
    """Elements with the channels (axis 1) in whole blocks."""
    if len(shape) < 2 or not shape[1]:
        return prod(shape)
    return prod(shape) // shape[1] * ceil(shape[1] / step) * step


def bytes_moved(layer: Layer) -> int:
    """Return the bytes read and written; a Split row lists one output, a Concat row too few."""
    size = _BYTES.get(layer.dtype, 4)
    read = sum(_padded(shape, _BLOCK // size) for shape in layer.input_shapes)
    written = sum(_padded(shape, _BLOCK // size) for shape in layer.output_shapes)
    if "Concat" in layer.op:
        read = written
    if "Split" in layer.op:
        written = read
    return (read + written) * size
