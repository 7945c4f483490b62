"""The models that methods make of one float model, weights and activations in integers."""

from __future__ import annotations

from dataclasses import replace

from onnx import ModelProto

from ..graph_parts.weighted_layers import Layer
from ..mixing.activation_mix import mixed_activations
from ..mixing.mixed_budget import MixedPrecision
from ..rendering.plan import Plan
from ..statistics.calibration import Calibration
from ..trials.held_out_samples import HeldOut
from .apply_method import IntegerFormat, apply_method
from .model_variants import ModelVariants


class IntegerCandidates:
    """Quantized models in QDQ form; see schemes.Candidates."""

    def __init__(self, task: Calibration, number_format: IntegerFormat) -> None:
        self._variants = ModelVariants(task, number_format)
        self._progress = task.progress

    def candidate(self, method: str) -> tuple[Plan, ModelProto]:
        """Return the plan and the model that a method makes."""
        return apply_method(self._variants.model_for(method), method)

    def changes(self, method: str) -> bool:
        """Return whether the method makes another model than the one that it refines."""
        return self._variants.changes(method)

    def mixed(self, plan: Plan, held_out: HeldOut, mixed: MixedPrecision) -> Plan:
        """Return the plan with some tensors in 16 bits: the best of what was tried."""
        calibrated, dtype = self._variants.model_for(plan.method), mixed.dtype
        tradeoffs = mixed_activations(
            calibrated.graph,
            plan,
            held_out,
            mixed,
            lambda tensors: apply_method(calibrated, plan.method, tensors, dtype)[1],
            self._progress,
        )
        chosen = mixed.budget.best(tradeoffs).floating
        best, _ = apply_method(calibrated, plan.method, chosen, dtype)
        return replace(
            plan,
            activations=best.activations,
            weights=best.weights,
            float_operators=best.float_operators,
            tradeoffs=tuple(tradeoffs),
        )

    def final(self, plan: Plan, held_out: HeldOut) -> tuple[Plan, ModelProto]:
        """Return the model quantized as ``plan`` says, the statistics of all samples in it."""
        calibrated = self._variants.model_for(plan.method)
        if len(held_out):
            calibrated = calibrated.observed_on(held_out)
        tensors, dtype = plan.high_precision, plan.high_precision_dtype
        again, model = apply_method(calibrated, plan.method, tensors, dtype)
        return replace(plan, samples=again.samples, activations=again.activations), model

    def layers(self, plan: Plan) -> tuple[Layer, ...]:
        """Return the layers whose weights are rounded, where no tensor is in 16 bits."""
        return self._variants.model_for(plan.method).layers
