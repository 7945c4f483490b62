"""The models that methods make of one float model, weights and activations in integers."""

from __future__ import annotations

from dataclasses import replace

from onnx import ModelProto

from ..graph_parts.weighted_layers import WeightedLayer
from ..methods import find_method
from ..mixing.activation_mix import mixed_activations
from ..mixing.mixed_budget import MixedPrecision
from ..rendering.plan import Plan
from ..statistics.calibration import Calibration
from ..trials.held_out_samples import HeldOut
from .apply_method import CalibratedModel, IntegerFormat, apply_method
from .equalize import equalization
from .model_variants import equalized_model, uncalibrated


class IntegerCandidates:
    """Quantized models in QDQ form; see schemes.Candidates."""

    def __init__(self, task: Calibration, number_format: IntegerFormat) -> None:
        self._task = task
        plain = uncalibrated(task, number_format)
        self._plain = plain.observed_on(plain.subset.passing(task.samples))
        self._equalized: CalibratedModel | None = None

    def candidate(self, method: str) -> tuple[Plan, ModelProto]:
        """Return the plan and the model that a method makes."""
        return apply_method(self._model_for(method), method)

    def changes(self, method: str) -> bool:
        """Return whether the method makes another model than the one that it refines."""
        return not find_method(method).equalized or bool(self._model_for(method).factors)

    def mixed(self, plan: Plan, held_out: HeldOut, mixed: MixedPrecision) -> Plan:
        """Return the plan with some tensors in 16 bits: the best of what was tried."""
        calibrated, dtype = self._model_for(plan.method), mixed.dtype
        tradeoffs = mixed_activations(
            calibrated.graph,
            plan,
            held_out,
            mixed,
            lambda tensors: apply_method(calibrated, plan.method, tensors, dtype)[1],
            self._task.progress,
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
        calibrated = self._model_for(plan.method)
        if len(held_out):
            calibrated = calibrated.observed_on(held_out)
        tensors, dtype = plan.high_precision, plan.high_precision_dtype
        again, model = apply_method(calibrated, plan.method, tensors, dtype)
        return replace(plan, samples=again.samples, activations=again.activations), model

    def layers(self, plan: Plan) -> tuple[WeightedLayer, ...]:
        """Return the layers whose weights are rounded, where no tensor is in 16 bits."""
        return self._model_for(plan.method).layers

    def _model_for(self, method: str) -> CalibratedModel:
        """Return what a method works on: with equalized channels only where it needs them."""
        if not find_method(method).equalized:
            return self._plain
        if self._equalized is None:
            # a method that was named is not asked whether it pays
            least = {"least_db": 0.0} if len(self._task.methods) == 1 else {}
            factors = equalization(self._plain.model, self._plain.subset, **least)
            self._equalized = equalized_model(self._plain, factors, self._task)
        return self._equalized
