"""GPTQ with ranges of all values, on a model whose channels were made alike."""

from dataclasses import replace

from . import gptq_min_max

ORDER = 60
METHOD = replace(gptq_min_max.METHOD, equalized=True, is_compared=False, refines="gptq-min-max")
