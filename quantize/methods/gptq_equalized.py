"""GPTQ on a model whose channels were made alike."""

from dataclasses import replace

from . import gptq

ORDER = 50
METHOD = replace(gptq.METHOD, equalized=True, is_compared=False, refines="gptq")
