"""An estimate of the NPU's latency from the compiler's layer table, with its error band.

A layer of the NPU takes

    ms = (compute^6 + output^6 + activation^6 + moved^6)^(1/6) + read + scores + launch

because arithmetic, writing and activation work at the same time: close to the slowest of them.
Reading is added, as layers timed on a board show it. ``moved`` is that of a layer without cycles in
the table, such as Add or Concat, ``scores`` that of attention. A layer on the CPU takes its
elements, and a hand-over where the NPU goes on. Each is work (work.py) times a coefficient
(coefficients.py) that was fitted to the frames per second that rknn_model_zoo publishes for one
core at the highest NPU frequency, and to layers timed on an RK3588 board; benchmarks/latency/ holds
those, the tables and the fit, and docs/latency.md says how good it is. The band is in bands.py.
Chips without published figures have no fit, and get cycles only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...core.graphs.layers import LayerShape
from ...core.results.model_figures import LatencyScale
from ...core.types import Shape
from ..chips.compiler_log import Layer
from ..chips.cycles import ddr_cycles, npu_cycles
from ..chips.targets import Target
from .bands import band_of
from .coefficients import Coefficients, coefficients_of
from .work import Work, works_of

_POWER = 6.0  # how far what is done at the same time hides each other
# ms for each layer of the CPU after all those of the NPU: mobilenet_v2's Reshape takes 61 us in the
# user guide of the board's runtime
TAIL = 0.06
# For chips with no fit: round figures between those of the fits, to tell what bounds a layer.
_TYPICAL = Coefficients(1.1, 0.2, 0.7, 0.16, 0.24, 0.11, 5.0, 0.006, 40.0, 0.3)


@dataclass(frozen=True)
class Latency:
    """One core's time for one inference; ``ms`` is None for a chip with no fit and no ``scale``."""

    kind: str
    ms: float | None
    low: float | None
    high: float | None
    cycles: int
    scale: LatencyScale | None = None


@dataclass(frozen=True)
class LayerCost:
    """One layer's part of the estimate; ``ms`` is None for a chip with no fit.

    ``bound`` is what most of it is spent on: compute, memory, activation, cpu or overhead.
    """

    ms: float | None
    bound: str


def estimate(layers: Sequence[Layer], target: Target, toolkit: str | None = None) -> Latency | None:
    """Return the estimate for a built model, or None when there is no layer table.

    ``toolkit`` is the version that built it, by default the newest. The band holds nine of ten
    true values.

    >>> from ..chips.targets import find_target
    >>> conv = Layer(1, "Conv", "INT8", "NPU", (), (), 0, 1_000_000, 1_000_000, "c")
    >>> latency = estimate([conv], find_target("rk3562"))
    >>> latency.low < 1.19 < latency.high
    True
    """
    if not layers:
        return None
    cycles = sum(layer.total_cycles for layer in layers)
    fit = coefficients_of(target, toolkit)
    if fit is None:
        return Latency("npu-estimate", None, None, None, cycles)
    ms = total_ms(layers, target, fit)
    return Latency("npu-estimate", ms, *band_of(ms, target.name), cycles)


def total_ms(layers: Sequence[Layer], target: Target, fit: Coefficients) -> float:
    """Return the milliseconds of all layers with these coefficients."""
    return sum(sum(_parts(work, fit).values()) for work in works_of(layers, target))


def layer_costs(
    layers: Sequence[Layer],
    target: Target,
    toolkit: str | None = None,
    *,
    typical: bool = False,
) -> tuple[LayerCost, ...]:
    """Return what every layer takes, in their order; the sum is the estimate.

    With ``typical``, a chip with no fit is given round figures: right in proportion at best.

    >>> from ..chips.targets import find_target
    >>> conv = Layer(1, "Conv", "INT8", "NPU", (), (), 0, 1_000_000, 1_000_000, "c")
    >>> layer_costs([conv], find_target("rv1106"))
    (LayerCost(ms=None, bound='compute'),)
    """
    fit = coefficients_of(target, toolkit) or (_TYPICAL if typical else None)
    return tuple(_cost(work, fit) for work in works_of(layers, target))


def layer_ms(
    layer: LayerShape, target: Target, dtype: str = "int8", toolkit: str | None = None
) -> float:
    """Return the milliseconds of a layer by its sizes alone, without the compiler.

    The same estimate from closed-form cycles; a lookup that the compiler joins to the layer is not
    counted. Raises ValueError when the target has no fit or no such ``dtype``.

    >>> from ..chips.targets import find_target
    >>> conv = LayerShape("c", "conv", 64, 48, 3, 3, 1, 28, 28, 28, 28)
    >>> 0.01 < layer_ms(conv, find_target("rk3588")) < 0.1
    True
    """
    fit = _fit_of(target, toolkit)
    ddr, npu = ddr_cycles(layer, target, dtype), npu_cycles(layer, target, dtype)
    cycles = round(ddr), npu, round(max(ddr, npu))
    x = ((1, layer.cin, layer.in_h, layer.in_w),)
    weights = _weights(layer)
    y = ((1, layer.cout, layer.out_h, layer.out_w),)
    row = Layer(1, "Conv", dtype.upper(), "NPU", (*x, weights), y, *cycles, name=layer.name)
    return sum(sum(_parts(work, fit).values()) for work in works_of([row], target))


def _weights(layer: LayerShape) -> Shape:
    """As the table has them: those of a depthwise layer are one channel of many inputs."""
    kernel = layer.kernel_h, layer.kernel_w
    if layer.op in ("depthwise", "pool"):
        return (1, layer.cout, *kernel)
    return (layer.cout, layer.cin // layer.groups, *kernel)


def conversion_ms(shape: Shape, target: Target, toolkit: str | None = None) -> float:
    """Return the milliseconds of converting a tensor between int8 and float16 on the NPU.

    Raises ValueError when the target has no fit.
    """
    fit = _fit_of(target, toolkit)
    row = Layer(1, "exDataConvert", "FLOAT16", "NPU", (shape,), (shape,), 0, 0, 0, name="")
    return sum(sum(_parts(work, fit).values()) for work in works_of([row], target))


def _fit_of(target: Target, toolkit: str | None) -> Coefficients:
    fit = coefficients_of(target, toolkit)
    if fit is None:
        raise ValueError(f"{target.name} has no latency fit")
    return fit


def _cost(work: Work, fit: Coefficients | None) -> LayerCost:
    parts = _parts(work, fit or _TYPICAL)
    bound = max(parts, key=lambda kind: parts[kind])
    return LayerCost(None if fit is None else sum(parts.values()), bound)


def _parts(work: Work, fit: Coefficients) -> dict[str, float]:
    """Milliseconds by what they are spent on; of equal parts the first is the bound."""
    joined = {
        "compute": fit.compute * work.compute,
        "output": fit.output * work.output,
        "activation": fit.activation * work.activation,
        "moved": fit.moved * work.moved + fit.broadcast * work.broadcast,
    }
    shares = {kind: part**_POWER for kind, part in joined.items()}
    total = sum(shares.values())
    busy = total ** (1 / _POWER) / total if total else 0.0
    return {
        "overhead": fit.launch * work.launch,
        "compute": busy * shares["compute"],
        "memory": busy * (shares["output"] + shares["moved"]) + fit.read * work.read,
        "activation": busy * shares["activation"] + fit.scores * work.scores,
        "cpu": fit.host * work.host + fit.handover * work.handover + TAIL * work.tail,
    }
