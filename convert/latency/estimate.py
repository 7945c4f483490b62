"""An estimate of the NPU's latency from the compiler's layer table, with its error band.

A layer of the NPU takes

    ms = (compute^4 + traffic^4 + activation^4 + moved^4)^(1/4) + launch

because its parts work at the same time: close to the slowest of arithmetic, memory traffic,
activation and, for a layer without cycles in the table, the memory it moves. A layer on the CPU
takes a hand-over and its elements. Each is work (layer_work.py) times a coefficient (targets.py)
that was fitted to the frames per second that rknn_model_zoo publishes for one core at the highest
NPU frequency; benchmarks/latency/ holds those, the tables and the fit, and docs/latency.md says how
good it is. The band is the mean error on a family of models that was left out of the fit. Chips
without published figures have no fit, and get cycles only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...core.graphs.layers import LayerShape
from ...core.types import Shape
from .compiler_log import Layer
from .cycles import ddr_cycles, npu_cycles
from .layer_work import FORM, Work, works_of
from .targets import LatencyFit, Target

# By what factor the ratio of two formats of one network may be off: the five published pairs of
# float16 and int8 are off by up to 1.30 (benchmarks/latency/ratios.py), and too few for a quantile.
RATIO_BAND = 1.31

# For chips with no fit: round figures between those of the fits, to tell what bounds a layer.
_TYPICAL = LatencyFit(1.1, 1.5, 0.8, 0.2, 0.01, 30.0, 0.1, error=0.0)


@dataclass(frozen=True)
class Latency:
    """One core's time for one inference; ``ms`` is None for a chip with no fit."""

    kind: str
    ms: float | None
    low: float | None
    high: float | None
    cycles: int


@dataclass(frozen=True)
class LayerCost:
    """One layer's part of the estimate; ``ms`` is None for a chip with no fit.

    ``bound`` is what most of it is spent on: compute, memory, activation, cpu or overhead.
    """

    ms: float | None
    bound: str


def estimate(layers: Sequence[Layer], target: Target) -> Latency | None:
    """Return the estimate for a built model, or None when there is no layer table.

    The band is where the true value lies if the estimate errs by the fit's mean relative error.

    >>> from .targets import find_target
    >>> conv = Layer(1, "Conv", "INT8", "NPU", (), (), 0, 1_000_000, 1_000_000, "c")
    >>> latency = estimate([conv], find_target("rk3562"))
    >>> latency.low < 1.19 < latency.high
    True
    """
    if not layers:
        return None
    cycles = sum(layer.total_cycles for layer in layers)
    fit = target.latency
    if fit is None:
        return Latency("npu-estimate", None, None, None, cycles)
    ms = sum(sum(_parts(work, fit).values()) for work in works_of(layers, target))
    return Latency("npu-estimate", ms, ms / (1 + fit.error), ms / (1 - fit.error), cycles)


def layer_costs(layers: Sequence[Layer], target: Target) -> tuple[LayerCost, ...]:
    """Return what every layer takes, in their order; the sum is the estimate.

    >>> from .targets import find_target
    >>> conv = Layer(1, "Conv", "INT8", "NPU", (), (), 0, 1_000_000, 1_000_000, "c")
    >>> layer_costs([conv], find_target("rv1106"))
    (LayerCost(ms=None, bound='compute'),)
    """
    return tuple(_cost(work, target.latency) for work in works_of(layers, target))


def is_slower(ms: float, float16_ms: float) -> bool:
    """Return whether a result is slower than the same model in float16, by more than RATIO_BAND.

    >>> is_slower(4.4, 1.92), is_slower(6.79, 5.81)
    (True, False)
    """
    return ms > RATIO_BAND * float16_ms


def layer_ms(layer: LayerShape, target: Target, dtype: str = "int8") -> float:
    """Return the milliseconds of a layer by its sizes alone, without the compiler.

    The same estimate from closed-form cycles; a lookup that the compiler joins to the layer is not
    counted. Raises ValueError when the target has no fit or no such ``dtype``.

    >>> from .targets import find_target
    >>> conv = LayerShape("c", "conv", 64, 48, 3, 3, 1, 28, 28, 28, 28)
    >>> 0.01 < layer_ms(conv, find_target("rk3588")) < 0.1
    True
    """
    if target.latency is None:
        raise ValueError(f"{target.name} has no latency fit")
    ddr, npu = ddr_cycles(layer, target, dtype), npu_cycles(layer, target, dtype)
    cycles = round(ddr), npu, round(max(ddr, npu))
    x = ((1, layer.cin, layer.in_h, layer.in_w),)
    y = ((1, layer.cout, layer.out_h, layer.out_w),)
    row = Layer(1, "Conv", dtype.upper(), "NPU", x, y, *cycles, name=layer.name)
    return sum(sum(_parts(work, target.latency).values()) for work in works_of([row], target))


def conversion_ms(shape: Shape, target: Target) -> float:
    """Return the milliseconds of converting a tensor between int8 and float16 on the NPU.

    Raises ValueError when the target has no fit.
    """
    if target.latency is None:
        raise ValueError(f"{target.name} has no latency fit")
    row = Layer(1, "exDataConvert", "FLOAT16", "NPU", (shape,), (shape,), 0, 0, 0, name="")
    return sum(sum(_parts(work, target.latency).values()) for work in works_of([row], target))


def _cost(work: Work, fit: LatencyFit | None) -> LayerCost:
    parts = _parts(work, fit or _TYPICAL)
    bound = max(parts, key=lambda kind: parts[kind])
    return LayerCost(None if fit is None else sum(parts.values()), bound)


def _parts(work: Work, fit: LatencyFit) -> dict[str, float]:
    """Milliseconds by what they are spent on; of equal parts the first is the bound."""
    joined = {
        "compute": fit.compute * work.compute,
        "traffic": fit.traffic * work.traffic,
        "activation": fit.activation * work.activation,
        "moved": fit.moved * work.moved,
    }
    power = FORM.exponent
    shares = {kind: part**power for kind, part in joined.items()}
    total = sum(shares.values())
    busy = total ** (1 / power) / total if total else 0.0
    return {
        "overhead": fit.launch * work.launch,
        "compute": busy * shares["compute"],
        "memory": busy * (shares["traffic"] + shares["moved"]),
        "activation": busy * shares["activation"],
        "cpu": fit.host * work.host + fit.handover * work.handover,
    }
