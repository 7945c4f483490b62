"""Weights in int8, activations in symmetric int16."""

from __future__ import annotations

from functools import partial

from ..integer.calibrated_model import IntegerFormat
from ..integer.integer_candidates import IntegerCandidates
from ..numeric.scales import symmetric_scale
from ..rendering.plan import Plan
from ..statistics.tensor_statistics import Calibration
from . import Handover, Scheme


class W8A16(Scheme):
    """Layers multiply in float16; only the toolkit's own quantizer makes such a ``.rknn``."""

    quantizes = True
    methods = ("gptq-min-max", "min-max")
    refusal = (
        "narrows the ranges of activations or their channels, or is for weights of few bits, "
        "which 16 bits do not need"
    )
    is_qdq = True

    def candidates(self, task: Calibration) -> IntegerCandidates:
        """Calibrate a model, its activations for int16."""
        scale = partial(symmetric_scale, bits=16)
        return IntegerCandidates(task, IntegerFormat(self.name, "int16", scale))

    def handover(self, plan: Plan) -> Handover:
        """Return the toolkit's own quantizer on the float model: the toolkit has no other way."""
        return Handover("normal", self.name, takes_quantized=False, takes_ranges=False)

    def described(self, weights: str, activations: str) -> str:
        return f"{weights} in int8, {activations} in int16"


SCHEME = W8A16()
