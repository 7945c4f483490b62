"""GPTQ, each layer first refitted to the float network's result on inputs of rounded layers."""

from dataclasses import replace
from functools import partial

from . import Rounding, gptq

ORDER = 15
_DAMPING = 0.3
ROUNDING = Rounding("gptq", partial(gptq.gptq, damping=_DAMPING))
METHOD = replace(gptq.METHOD, rounding=ROUNDING, refits=True, is_compared=False, refines="gptq")
