"""Estimates at the scale of one setting, by what models that were measured in it say of them.

A chip without a fit gets milliseconds that way: from typical coefficients, which are about right in
proportion, brought to the scale of what a board took.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from ...core.diagnostics import Diagnostic, option
from ...core.results.model_figures import LatencyScale
from ..chips.compiler_log import Layer
from ..chips.targets import Target
from .bands import band_of
from .coefficients import is_fitted
from .estimate import Latency, LayerCost, estimate, layer_costs

# as estimated, and by typical coefficients on a chip that has none of its own
UNSCALED = LatencyScale(1.0, 0)
# By what factor an estimate from typical coefficients is off at most in nine of ten cases, apart
# from a factor that all of a chip have in common.
TYPICAL_BAND = 1.3
# beyond that it is rather a slip of units, model or chip than another setting
_LARGEST_FACTOR = 10.0


def estimate_scaled(
    layers: Sequence[Layer], target: Target, toolkit: str | None, scale: LatencyScale | None
) -> Latency | None:
    """Return the estimate at a scale, if there is one, or None when there is no layer table.

    >>> from ..chips.targets import find_target
    >>> conv = Layer(1, "Conv", "INT8", "NPU", (), (), 0, 1_000_000, 1_000_000, "c")
    >>> latency = estimate_scaled([conv], find_target("rv1106"), None, LatencyScale(2.0, 1))
    >>> latency.low < 2.22 < latency.high
    True
    """
    latency = estimate(layers, target, toolkit)
    if latency is None or scale is None:
        return latency
    costs = layer_costs(layers, target, toolkit, typical=True)
    ms = sum(cost.ms or 0.0 for cost in costs)
    own = band_of(ms, target.name)[1] / ms if ms and is_fitted(target) else TYPICAL_BAND
    band, ms = scaled_band(own, scale), scale.factor * ms
    return replace(latency, ms=ms, low=ms / band, high=ms * band, scale=scale)


def proportional_ms(layers: Sequence[Layer], target: Target, toolkit: str | None) -> float:
    """Return a time that is right in proportion to others of the chip, without a fit too.

    >>> from ..chips.targets import find_target
    >>> conv = Layer(1, "Conv", "INT8", "NPU", (), (), 0, 1_000_000, 1_000_000, "c")
    >>> one, two = (proportional_ms([conv] * n, find_target("rv1106"), None) for n in (1, 2))
    >>> two / one
    2.0
    """
    costs = layer_costs(layers, target, toolkit, typical=True)
    return sum(cost.ms or 0.0 for cost in costs)


def costs_scaled(
    layers: Sequence[Layer], target: Target, toolkit: str | None, scale: LatencyScale | None
) -> tuple[LayerCost, ...]:
    """Return what every layer takes at a scale, in their order; without one, as it is estimated."""
    if scale is None:
        return layer_costs(layers, target, toolkit)
    costs = layer_costs(layers, target, toolkit, typical=True)
    return tuple(replace(cost, ms=scale.factor * (cost.ms or 0.0)) for cost in costs)


def scale_of(factors: Sequence[Sequence[float]]) -> LatencyScale:
    """Return the scale by measured over estimated ms, several of them for each of some models.

    It is the geometric mean of the models' own, each of which is that of its factors. The spread
    is that of all of them: two times of one model that contradict each other count too.

    >>> scale_of([[1.0, 4.0], [8.0]])
    LatencyScale(factor=4.0, models=2, spread=4.0)
    """
    logs = [fmean(map(math.log, several)) for several in factors]
    mean = fmean(logs)
    spread = max(abs(math.log(each) - mean) for several in factors for each in several)
    return LatencyScale(math.exp(mean), len(logs), math.exp(spread))


def scale_warnings(scale: LatencyScale) -> tuple[Diagnostic, ...]:
    """Return what is to be known of a scale that no setting of a board explains.

    >>> [warning.code for warning in scale_warnings(LatencyScale(0.001, 1))]
    ['latency-scale']
    """
    if 1 / _LARGEST_FACTOR <= scale.factor <= _LARGEST_FACTOR:
        return ()
    factor = float(f"{scale.factor:.3g}")
    text = f"what {option('measured')} gives is {factor:g} times the estimate"
    hint = "check that they are milliseconds, of this model on this chip"
    return (Diagnostic("latency-scale", text, hint),)


def scaled_band(band: float, scale: LatencyScale) -> float:
    """Return by what factor a scaled estimate may be off, where one as it is may be by ``band``.

    The measured models' estimates err as much, their mean by less; and where they differ more from
    one another than that, the setting is not known better than they agree.

    >>> scaled_band(1.16, UNSCALED)
    1.16
    >>> [round(scaled_band(1.16, LatencyScale(1.2, models)), 3) for models in (1, 4)]
    [1.234, 1.181]
    """
    if not scale.models:
        return band
    return max(math.exp(math.log(band) * math.sqrt(1 + 1 / scale.models)), scale.spread)
