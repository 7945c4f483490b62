"""GPTQ, its biases corrected once more, layer by layer in the quantized network.

auto does not try it: it came out behind on two models of three, and takes as long as all the rest.
"""

from dataclasses import replace

from . import gptq

ORDER = 30
METHOD = replace(gptq.METHOD, sequential=True, is_compared=False)
