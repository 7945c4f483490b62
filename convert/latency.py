"""An estimate of the NPU's latency from the compiler's layer table, with its error band.

The estimate is linear in what the table shows:

    ms = a * (million cycles) + b * (million elements through a lookup or an exponential)
       + c * (megabytes moved by layers without cycles) + d * (NPU layers)

The coefficients (targets.py) were fitted by non-negative least squares to the frames per second
that rknn_model_zoo publishes (README of version 2.3.2, single core, highest NPU frequency) for 24
models on rk3588, 16 on rk3576 and rk3562 and 17 on rk3566/rk3568, compiled by rknn-toolkit2 2.5.0.
The band is the mean error on a model that was left out of the fit: 12 % on rk3588, 13 % on rk3576,
10 % on rk3562, 19 % on rk3566; the worst model missed by 54, 40, 27 and 37 %. Ratios between two
variants of one model are more certain than the absolute figures. Chips without published figures
have no fit, and get cycles only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from .layer_table import Layer
from .targets import LatencyFit, Target

_LOOKUPS = ("ExSwish", "exSwish", "Sigmoid", "Gelu", "Mish", "Tanh", "Softmax", "exSDP")
_BYTES = {"INT8": 1, "UINT8": 1, "BOOL": 1, "INT16": 2, "FLOAT16": 2, "INT64": 8}


@dataclass(frozen=True)
class Latency:
    """One core's time for one inference; ``ms`` is None for a chip with no fit."""

    kind: str
    ms: float | None
    low: float | None
    high: float | None
    cycles: int


def estimate(layers: Sequence[Layer], target: Target) -> Latency | None:
    """The estimate for a built model, or None when there is no layer table.

    The band is where the true value lies if the estimate errs by the fit's mean relative error.

    >>> from .targets import find_target
    >>> conv = Layer(1, "Conv", "INT8", "NPU", (), (), 0, 0, 1_000_000, "c")
    >>> found = estimate([conv], find_target("rk3588"))
    >>> round(found.low, 2), round(found.ms, 2), round(found.high, 2)
    (0.94, 1.05, 1.19)
    """
    if not layers:
        return None
    cycles = sum(layer.total_cycles for layer in layers)
    fit = target.latency
    if fit is None:
        return Latency("npu-estimate", None, None, None, cycles)
    ms = _milliseconds(layers, cycles, fit)
    return Latency("npu-estimate", ms, ms / (1 + fit.error), ms / (1 - fit.error), cycles)


def _milliseconds(layers: Sequence[Layer], cycles: int, fit: LatencyFit) -> float:
    on_npu = [layer for layer in layers if layer.runs_on == "NPU" and not layer.is_boundary]
    lookups = sum(_elements(layer) for layer in layers if _is_lookup(layer))
    moved = sum(_bytes_moved(layer) for layer in on_npu if layer.total_cycles == 0)
    return (
        fit.cycles * cycles / 1e6
        + fit.lookup * lookups / 1e6
        + fit.memory * moved / 1e6
        + fit.layer * len(on_npu)
    )


def _is_lookup(layer: Layer) -> bool:
    return any(name in layer.op for name in _LOOKUPS)


def _elements(layer: Layer) -> int:
    return sum(prod(shape) for shape in layer.output_shapes)


def _bytes_moved(layer: Layer) -> int:
    """Bytes read and written; a Split row lists one output only, a Concat row may list fewer."""
    read = sum(prod(shape) for shape in layer.input_shapes)
    written = _elements(layer)
    if "Concat" in layer.op:
        read = written
    if "Split" in layer.op:
        written = read
    return (read + written) * _BYTES.get(layer.dtype, 4)
