"""GPTQ, each layer first refitted to the float network's result on inputs of rounded layers.

For weights of few bits, where what one layer loses is not small for the next ones.
"""

from dataclasses import replace
from functools import partial

from . import Rounding, gptq

ORDER = 15
_DAMPING = 0.3
METHOD = replace(
    gptq.METHOD, rounding=Rounding("gptq", partial(gptq.gptq, damping=_DAMPING)), refits=True
)
