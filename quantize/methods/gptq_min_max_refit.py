"""Ranges of all values, weights refitted layer by layer, then by GPTQ."""

from dataclasses import replace

from . import gptq_min_max, gptq_refit

ORDER = 25
METHOD = replace(
    gptq_min_max.METHOD,
    rounding=gptq_refit.ROUNDING,
    refits=True,
    is_compared=False,
    refines="gptq-min-max",
)
