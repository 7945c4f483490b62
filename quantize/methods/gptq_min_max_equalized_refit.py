"""Ranges of all values, channels made alike, layers refitted, then GPTQ."""

from dataclasses import replace

from . import gptq_min_max_equalized, gptq_refit

ORDER = 66
METHOD = replace(
    gptq_min_max_equalized.METHOD,
    rounding=gptq_refit.ROUNDING,
    refits=True,
    is_compared=False,
    refines="gptq-min-max-equalized",
)
