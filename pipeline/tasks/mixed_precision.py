"""Which mixed precision the options ask for on a chip."""

from __future__ import annotations

import math

from ...convert.chips.cycles import layer_cycles
from ...convert.chips.targets import Target
from ...convert.latency.coefficients import is_fitted
from ...core.diagnostics import option
from ...core.errors import OptionError
from ...core.graphs.layers import LayerShape
from ...quantize.mixing.mixed_budget import MixedPrecision, NpuTime, parse_mixed
from ...quantize.schemes import find_scheme
from ..options.quantize_options import QuantizeOptions
from .quantization_training import is_trained

_FEW_BITS = 8  # with fewer a weight: training, where it is asked for, comes instead of float16


def mixed_precision(
    options: QuantizeOptions, target: Target, time: NpuTime | None = None
) -> MixedPrecision | None:
    """Return the mixed precision on a chip, judged by ``time`` if that is given; None for none.

    Raises OptionError when the scheme or the chip has no such mixed precision.
    """
    if options.mixed == "off":
        return None
    scheme = find_scheme(options.scheme)
    mixing, is_asked = scheme.mixing, options.mixed != "auto"
    budget = None
    if mixing is not None:
        budget = mixing.rescue if time is None else mixing.timed_rescue
    if is_asked:
        budget = parse_mixed(options.mixed)
        mixing = scheme.require_mixed(budget, options.mixed)
    if mixing is None or budget is None:
        return None
    if not is_asked and is_trained(options) and scheme.weight_bits < _FEW_BITS:
        return None
    if budget.kind == "latency" and not is_fitted(target):
        raise OptionError(
            f"{option('mixed', options.mixed)}: there is no latency in milliseconds for "
            f"{target.name}, only cycles",
            f"for example cycles=+{budget.value:.0%}, which leaves conversions out",
        )
    dtype = mixing.dtype or target.mixes_with
    if dtype is None and is_asked:
        raise OptionError(
            f"{target.name} has neither float16 nor int16 to mix with int8",
            f"leave {option('mixed')} out for this chip",
        )
    if dtype is None:
        return None

    def cost(layer: LayerShape, dtype: str) -> float:
        return layer_cycles(layer, target, dtype)

    below_db = None if is_asked else mixing.below_db
    by_cycles = budget if is_asked else mixing.rescue
    counted = None if by_cycles.kind == "latency" else by_cycles
    seconds = math.inf if options.search_time is None else options.search_time
    most = options.search_choices
    return MixedPrecision(budget, cost, seconds, below_db, dtype, time, counted, most)
