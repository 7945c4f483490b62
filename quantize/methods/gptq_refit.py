"""GPTQ, each layer first refitted to the float network's result on inputs of rounded layers.

For weights of few bits, where what one layer loses is not small for the next ones.
"""

from dataclasses import replace

from . import gptq

ORDER = 15
METHOD = replace(gptq.METHOD, refits=True)
