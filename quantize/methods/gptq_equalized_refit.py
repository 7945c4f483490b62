"""GPTQ on a model whose channels were made alike, each layer refitted first."""

from dataclasses import replace

from . import gptq_equalized, gptq_refit

ORDER = 65
METHOD = replace(
    gptq_equalized.METHOD,
    rounding=gptq_refit.ROUNDING,
    refits=True,
    is_compared=False,
    refines="gptq-equalized",
)
