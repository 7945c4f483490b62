"""Ranges of all values, weights by GPTQ."""

from dataclasses import replace

from . import gptq, min_max

ORDER = 20
METHOD = replace(gptq.METHOD, ranges=min_max.METHOD.ranges)
