"""The models that methods make of one float model, weights and activations in integers.

A method works on the model as it is, or on the model with equalized channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from onnx import ModelProto

from ...core.graphs.graph import Graph
from ..graph_parts.placement import place
from ..graph_parts.weighted_layers import WeightedLayer, layers_from, require_quantizable
from ..methods import find_method
from ..mixing.activation_mix import mixed_activations
from ..mixing.mixed_budget import MixedPrecision
from ..rendering.plan import Plan
from ..statistics.calibration import Calibration, SampleSubset
from ..statistics.tensor_statistics import TensorStatistics, collect_statistics
from ..trials.held_out_samples import HeldOut
from .apply_method import CalibratedModel, IntegerFormat, apply_method
from .equalize import equalization, equalized, pairs_of


class IntegerCandidates:
    """Quantized models in QDQ form; see schemes.Candidates."""

    def __init__(self, task: Calibration, number_format: IntegerFormat) -> None:
        self._task = task
        plain = uncalibrated(task, number_format)
        self._plain = plain.observed_on(plain.subset.passing(task.samples))
        self._equalized: CalibratedModel | None = None

    def candidate(self, method: str) -> tuple[Plan, ModelProto]:
        return apply_method(self._model_for(method), method)

    def changes(self, method: str) -> bool:
        return not find_method(method).equalized or bool(self._model_for(method).factors)

    def mixed(self, plan: Plan, held_out: HeldOut, mixed: MixedPrecision) -> Plan:
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
        calibrated = self._model_for(plan.method)
        if len(held_out):
            calibrated = calibrated.observed_on(held_out)
        tensors, dtype = plan.high_precision, plan.high_precision_dtype
        again, model = apply_method(calibrated, plan.method, tensors, dtype)
        return replace(plan, samples=again.samples, activations=again.activations), model

    def layers(self, plan: Plan) -> tuple[WeightedLayer, ...]:
        return self._model_for(plan.method).layers

    def _model_for(self, method: str) -> CalibratedModel:
        """Return what a method works on: with equalized channels only where it needs them."""
        if not find_method(method).equalized:
            return self._plain
        if self._equalized is None:
            # a method that was named is not asked whether it pays
            least = {"least_db": 0.0} if len(self._task.methods) == 1 else {}
            factors = equalization(self._task.model, self._plain.subset, **least)
            self._equalized = equalized_model(self._plain, factors)
        return self._equalized


def uncalibrated(task: Calibration, number_format: IntegerFormat) -> CalibratedModel:
    """Return the model for the methods of a task, without statistics yet. Raises ModelError."""
    graph = Graph(task.model)
    placement = place(graph)
    require_quantizable(task.model, placement.weights)
    layers = layers_from(graph, placement.weights)
    return CalibratedModel(task, number_format, graph, placement, layers, SampleSubset())


def equalized_model(
    calibrated: CalibratedModel, factors: Mapping[str, tuple[float, ...]]
) -> CalibratedModel:
    """Return the model with equalized channels, and its statistics.

    Only the tensors between the layers of a pair have to be observed again. All other values are as
    they were, and the moments of what the second layers read are divided by the factors. The two
    models share the rest, so only one of them may be observed on further samples.
    """
    if not factors:
        return calibrated
    task, before = calibrated.task, calibrated.statistics
    graph = Graph(equalized(task.model, factors))
    placement = place(graph)
    pairs = [pair for pair in pairs_of(calibrated.graph) if pair.between in factors]
    between = [name for pair in pairs for name in dict.fromkeys((pair.first.name, pair.between))]
    histograms = collect_statistics(
        graph.model,
        [name for name in between if name in before.histograms],
        (),
        task.samples,
        progress=task.progress,
        activity="equalize",
        total=len(task.samples),
    ).histograms
    moments = dict(before.moments)
    for pair in pairs:
        if (name := pair.second.name) in moments:
            divisors = np.asarray(factors[pair.between], np.float64).reshape(pair.second.groups, -1)
            each = np.repeat(divisors, pair.second.width // divisors.shape[1], axis=1)
            moments[name] = moments[name].divided(each)
    reshaped = {layer.name for pair in pairs for layer in (pair.first, pair.second)}
    return replace(
        calibrated,
        graph=graph,
        placement=placement,
        layers=layers_from(graph, placement.weights),
        statistics=TensorStatistics(before.count, {**before.histograms, **histograms}, moments),
        factors=factors,
        rounded={
            rounding: {name: layer for name, layer in rounded.items() if name not in reshaped}
            for rounding, rounded in calibrated.rounded.items()
        },
    )
