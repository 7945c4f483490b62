"""GPTQ with ranges of all values, its biases corrected once more, layer by layer."""

from dataclasses import replace

from . import gptq_min_max

ORDER = 40
METHOD = replace(gptq_min_max.METHOD, sequential=True, is_compared=False)
