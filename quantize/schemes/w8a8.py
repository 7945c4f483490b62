"""Weights and activations in int8, a scale a channel and a scale a tensor."""

from __future__ import annotations

from functools import partial

from ..choices.names import AUTO, method_names
from ..integer.calibrated_model import IntegerFormat
from ..integer.integer_candidates import IntegerCandidates
from ..mixing.mixed_budget import MixedBudget
from ..numeric.scales import activation_scale, symmetric_scale
from ..rendering.plan import Plan
from ..statistics.tensor_statistics import Calibration
from . import Handover, Mixing, Scheme


class W8A8(Scheme):
    """Layers multiply in int8; mixed precision leaves some tensors in 16 bits, for some time."""

    layer_dtype = "int8"
    quantizes = True
    mixing = Mixing(
        kinds=("latency", "cycles", "sqnr"),
        rescue=MixedBudget("cycles", 0.05),
        reason="in int8, 16 bits take time",
        hint="say how much with latency=+8%, or ask for accuracy with sqnr=25",
        timed_rescue=MixedBudget("latency", 0.1),
    )
    extras = ("symmetric", "explain", "simulator", "train")
    is_qdq = True

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(name for name in method_names() if name != AUTO)

    def candidates(self, task: Calibration) -> IntegerCandidates:
        """Calibrate a model, its activations for asymmetric int8 unless the task is symmetric."""
        scale = partial(symmetric_scale, bits=8) if task.symmetric else activation_scale
        return IntegerCandidates(task, IntegerFormat(self.name, "int8", scale))

    def handover(self, plan: Plan) -> Handover:
        """Return QDQ, or the toolkit's own quantizer where tensors are int16: QDQ has no int16."""
        if plan.high_precision and plan.high_precision_dtype == "int16":
            return Handover("hybrid", takes_quantized=False)
        return Handover("auto")

    def described(self, weights: str, activations: str) -> str:
        return f"{weights} and {activations} in int8"


SCHEME = W8A8()
