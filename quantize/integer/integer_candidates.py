"""The models that methods make of one float model, weights and activations in integers.

A method works on the model as it is, or on the model with equalized channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from onnx import ModelProto

from ...core.graphs.graph import Graph
from ...core.trim_heap import trim_heap
from ...core.types import Feeds, Range, SampleSet
from ..graph_parts.placement import QdqPlacement, left_in_float, place
from ..graph_parts.weighted_layers import WeightedLayer, layers_from, require_quantizable
from ..methods import NEAREST, find_method
from ..mixing.activation_mix import mixed_activations
from ..mixing.mixed_budget import MixedPrecision
from ..numeric.scales import activation_scale
from ..rendering.plan import Activation, Plan, Weight
from ..rendering.qdq import insert_qdq
from ..rendering.rounding import Rounded, rounded_layers
from ..statistics.tensor_statistics import (
    NO_STATISTICS,
    Calibration,
    SampleSubset,
    TensorStatistics,
    collect_statistics,
)
from ..trials.held_out_samples import HeldOut
from .chosen_ranges import ChosenRanges
from .equalize import equalization, equalized, pairs_of
from .left_wide import left_wide, planned_constants
from .sequential_bias import sequential_biases


@dataclass(frozen=True)
class IntegerFormat:
    """A ``scheme``'s integers of activations: ``scale`` gives scale and zero point for a range."""

    scheme: str
    dtype: str
    scale: Callable[[float, float], tuple[float, int]]


@dataclass(frozen=True)
class CalibratedModel:
    """A model that is to be quantized to a format, and the statistics of its tensors.

    It is that of the ``task``, or the same with the channels of some tensors divided by
    ``factors``. ``rounded`` has the layers as they were rounded last, by the name of the rounding.
    """

    task: Calibration
    format: IntegerFormat
    graph: Graph
    placement: QdqPlacement
    layers: tuple[WeightedLayer, ...]
    subset: SampleSubset
    statistics: TensorStatistics = NO_STATISTICS
    factors: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    rounded: dict[str, dict[str, Rounded]] = field(default_factory=dict)

    def observed_on(self, samples: Iterable[Feeds]) -> CalibratedModel:
        """Return the same with the statistics of these samples added."""
        task, placement = self.task, self.placement
        needs_moments = any(find_method(name).needs_moments for name in task.methods)
        statistics = collect_statistics(
            self.graph.model,
            [name for name in placement.tensors if name not in placement.same_as],
            self.layers if needs_moments else (),
            samples,
            seed=task.seed,
            before=self.statistics,
            progress=task.progress,
            total=len(task.samples),
        )
        return replace(self, statistics=statistics, rounded={})


def apply_method(
    calibrated: CalibratedModel,
    name: str,
    high_precision: tuple[str, ...] = (),
    dtype: str = "float16",
) -> tuple[Plan, ModelProto]:
    """Return the plan and the model quantized by one method; notes how the layers were rounded.

    The tensors named by ``high_precision`` get the type ``dtype``. With int16 all weights are
    rounded to nearest, biases uncorrected: what takes int16 to the chip rounds the weights itself.
    """
    method, graph, statistics = find_method(name), calibrated.graph, calibrated.statistics
    whole, integers = calibrated.placement, calibrated.format
    histograms, logits = statistics.histograms, calibrated.task.logits
    ranges = ChosenRanges(graph, histograms, method.ranges, whole.same_as, logits)
    range_of = ranges.of_dtype(integers.dtype)
    unasked = left_wide(
        graph,
        set(whole.tensors),
        lambda tensor: range_of(whole.same_as.get(tensor, tensor))[1],
        calibrated.task.wide if integers.dtype == "int8" else None,
    )
    wide_tensors = tuple(dict.fromkeys((*high_precision, *unasked)))
    dtype = dtype if high_precision else calibrated.task.wide or dtype
    has_float16 = calibrated.task.has_float16
    placement = place(graph, wide_tensors, has_float16=has_float16) if wide_tensors else whole
    layers = layers_from(graph, placement.weights) if wide_tensors else calibrated.layers
    if wide_tensors and dtype == "int16":
        method = replace(method, rounding=NEAREST, correct_bias=False, sequential=False)

    activations = _activations(placement.tensors, placement.same_as, range_of, integers)
    wide = replace(integers, dtype=dtype, scale=activation_scale)
    wide_range_of = ranges.of_dtype(dtype)
    wide_activations = _activations(wide_tensors, whole.same_as, wide_range_of, wide)
    for tensor, source in unasked.items():
        wide_activations[tensor] = replace(wide_activations[tensor], source=source)
    rounded = rounded_layers(
        layers,
        activations,
        statistics.moments,
        method,
        calibrated.rounded.get(method.rounding.name),
    )
    trim_heap()
    calibrated.rounded.setdefault(method.rounding.name, rounded)
    plan = Plan(
        scheme=calibrated.format.scheme,
        samples=statistics.count,
        activations=activations | wide_activations,
        weights={
            layer.weight_name: Weight("int8", layer.axis, layer.channels, method.rounding.name)
            for layer in layers
        },
        float_operators=left_in_float(graph, placement, has_float16=has_float16),
        method=name,
        equalization=dict(calibrated.factors),
        symmetric=calibrated.task.symmetric,
        constants=planned_constants(graph, activations, symmetric=calibrated.task.symmetric),
    )
    if method.sequential:
        rounded = sequential_biases(graph.model, plan, rounded, layers, calibrated.subset)
    return plan, insert_qdq(graph.model, plan, rounded)


def _activations(
    tensors: Iterable[str],
    origins: Mapping[str, str],
    range_of: Callable[[str], tuple[str, Range]],
    integers: IntegerFormat,
) -> dict[str, Activation]:
    """Return scales from ranges, one a tensor; moved values have the scale of their origin."""
    activations = {}
    for name in tensors:
        origin = origins.get(name, name)
        source, (low, high) = range_of(origin)
        scale, zero_point = integers.scale(low, high)
        source = source if origin == name else f"as {origin}"
        activations[name] = Activation(integers.dtype, low, high, scale, zero_point, source)
    return activations


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
        return _with_tensors_of(replace(plan, tradeoffs=tuple(tradeoffs)), best)

    def final(self, plan: Plan, more: SampleSet) -> tuple[Plan, ModelProto]:
        calibrated = self._model_for(plan.method)
        self._plain = self._equalized = calibrated  # the other one takes memory
        if len(more):
            calibrated = calibrated.observed_on(more)
        tensors, dtype = plan.high_precision, plan.high_precision_dtype
        again, model = apply_method(calibrated, plan.method, tensors, dtype)
        return _with_tensors_of(replace(plan, samples=again.samples), again), model

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


def _with_tensors_of(plan: Plan, other: Plan) -> Plan:
    """Return a plan with all that another one says of single tensors."""
    return replace(
        plan,
        activations=other.activations,
        weights=other.weights,
        float_operators=other.float_operators,
        constants=other.constants,
    )


def uncalibrated(task: Calibration, number_format: IntegerFormat) -> CalibratedModel:
    """Return the model for the methods of a task, without statistics yet. Raises ModelError."""
    graph = Graph(task.model)
    placement = place(graph, has_float16=task.has_float16)
    # where all is in int8, a GRU or an Einsum needs the scales of what it reads and makes
    parts = placement.weights if task.has_float16 else placement.tensors
    require_quantizable(task.model, parts, has_float16=task.has_float16)
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
    model = equalized(task.model, factors)
    pairs = [pair for pair in pairs_of(calibrated.graph) if pair.between in factors]
    between = [name for pair in pairs for name in dict.fromkeys((pair.first.name, pair.between))]
    trim_heap()
    histograms = collect_statistics(
        model,
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
    graph = Graph(model)
    # what is equal is in memory once
    graph.weights.update(
        (name, values)
        for name, values in calibrated.graph.weights.items()
        if np.array_equal(values, graph.weights[name], equal_nan=values.dtype.kind == "f")
    )
    placement = place(graph, has_float16=task.has_float16)
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
