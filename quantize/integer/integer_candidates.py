"""The models that methods make of one float model, weights and activations in integers.

A method works on the model as it is, or on the model with equalized channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from onnx import ModelProto

from ...core.graphs.score_branches import score_branches, score_layers
from ...core.trim_heap import trim_heap
from ...core.types import Feeds, Range, SampleSet
from ..graph_parts.placement import left_in_float, place
from ..graph_parts.weighted_layers import WeightedLayer, layers_from, shares_weight
from ..methods import NEAREST, QuantizationMethod, find_method
from ..mixing.activation_mix import mixed_activations
from ..mixing.mixed_budget import MixedPrecision
from ..numeric.scales import activation_scale
from ..rendering.layer_refit import samples_that_fit
from ..rendering.plan import Activation, Plan, Tradeoff, Weight
from ..rendering.qdq import insert_qdq
from ..rendering.rounding import Rounded, rounded_layers
from ..statistics.sample_subset import SampleSubset
from ..statistics.tensor_statistics import Calibration
from ..trials.held_out_samples import HeldOut
from .calibrated_model import CalibratedModel, IntegerFormat, equalized_model, uncalibrated
from .chosen_ranges import ChosenRanges
from .equalize import equalization
from .left_wide import left_wide, planned_constants
from .refitted_integers import refitted_integers
from .sequential_bias import sequential_biases

# Samples that layers are refitted on, and those that are stored to choose them from. The model that
# was compared on the held-out ones is not made again for the file, unless there were fewer or its
# types change: then it may as well be of more.
_TO_REFIT, _MOST_TO_REFIT, _STORED_TO_REFIT = 64, 96, 128
_LEAST_TO_REFIT = 16  # with less auto does not try it


def apply_method(
    calibrated: CalibratedModel,
    name: str,
    high_precision: tuple[str, ...] = (),
    dtype: str = "float16",
    refit_on: int = _TO_REFIT,
) -> tuple[Plan, ModelProto]:
    """Return the plan and the model quantized by one method; notes how the layers were rounded.

    The tensors named by ``high_precision`` get the type ``dtype``. With int16 all weights are
    rounded to nearest, biases uncorrected: what takes int16 to the chip rounds the weights itself.
    Layers are refitted on ``refit_on`` samples at most.
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
        plain = replace(method, rounding=NEAREST, correct_bias=False)
        method = replace(plain, sequential=False, refits=False)

    activations = _activations(placement.tensors, placement.same_as, range_of, integers)
    wide = replace(integers, dtype=dtype, scale=activation_scale)
    wide_range_of = ranges.of_dtype(dtype)
    wide_activations = _activations(wide_tensors, whole.same_as, wide_range_of, wide)
    for tensor, source in unasked.items():
        wide_activations[tensor] = replace(wide_activations[tensor], source=source)
    rounding = method.rounding.name + (", refitted" if method.refits else "")
    plan = Plan(
        scheme=calibrated.format.scheme,
        samples=statistics.count,
        activations=activations | wide_activations,
        weights={
            layer.weight_name: Weight("int8", layer.axis, layer.channels, rounding)
            for layer in layers
        },
        float_operators=left_in_float(graph, placement, has_float16=has_float16),
        method=name,
        equalization=dict(calibrated.factors),
        symmetric=calibrated.task.symmetric,
        constants=planned_constants(graph, activations, symmetric=calibrated.task.symmetric),
    )
    rounded = _integers(calibrated, plan, layers, method, refit_on)
    return plan, insert_qdq(graph.model, plan, rounded)


def _integers(
    calibrated: CalibratedModel,
    plan: Plan,
    layers: Sequence[WeightedLayer],
    method: QuantizationMethod,
    refit_on: int,
) -> dict[str, Rounded]:
    """Return layer name -> its integers, noted where they come from statistics alone."""
    task, graph, moments = calibrated.task, calibrated.graph, calibrated.statistics.moments
    if method.refits and calibrated.refit_samples is not None:
        samples = calibrated.refit_samples.evenly(min(refit_on, samples_that_fit(layers)))
        seed, progress = task.seed, task.progress
        own = _refittable(calibrated, layers)
        others = [layer for layer in layers if layer not in own]
        rounded = rounded_layers(others, plan.activations, moments, method)
        calibrated.rounded.clear()  # the memory is needed, and hardly anything is rounded after it
        return refitted_integers(
            graph,
            plan,
            own,
            rounded,
            samples,
            method,
            logits=task.logits,
            seed=seed,
            progress=progress,
        )
    rounding = method.rounding.name
    before = calibrated.rounded.get(rounding)
    rounded = rounded_layers(layers, plan.activations, moments, method, before)
    trim_heap()
    calibrated.rounded.setdefault(rounding, rounded)
    if method.sequential:
        return sequential_biases(graph.model, plan, rounded, layers, calibrated.subset)
    return rounded


def _refittable(
    calibrated: CalibratedModel, layers: Sequence[WeightedLayer]
) -> list[WeightedLayer]:
    """Return the layers that may be refitted: each its own weight, and before more than scores.

    Least squares shrink what is rarely large, which is just where a detector finds something. The
    last layer before scores is fitted where these count.
    """
    graph, logits = calibrated.graph, calibrated.task.logits
    branches = score_branches(graph, lambda _: True, logits) - score_layers(graph, logits)
    return [
        layer for layer in layers if layer.name not in branches and not shares_weight(graph, layer)
    ]


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
        is_alone = len(task.methods) == 1
        if number_format.dtype == "int8" and (not is_alone or find_method(task.methods[0]).refits):
            plain = replace(plain, refit_samples=SampleSubset(_STORED_TO_REFIT))
        samples = _stored(plain, plain.subset.passing(task.samples))
        self._plain = plain.observed_on(samples, len(task.samples))
        self._equalized: CalibratedModel | None = None
        self._refitted: tuple[Plan, ModelProto] | None = None

    def candidate(self, method: str) -> tuple[Plan, ModelProto]:
        if not find_method(method).refits:
            return apply_method(self._model_for(method), method)
        if not find_method(method).equalized:
            self._equalized = None  # a refit takes memory, and this can be made again
        self._refitted = apply_method(self._model_for(method), method)
        return self._refitted

    def changes(self, method: str) -> bool:
        refit_samples = self._plain.refit_samples
        if find_method(method).refits:
            return refit_samples is not None and len(refit_samples) >= _LEAST_TO_REFIT
        return not find_method(method).equalized or bool(self._factors)

    def mixed(self, plan: Plan, held_out: HeldOut, mixed: MixedPrecision) -> Plan:
        """Return the plan of the best choice; choices are compared without a refit of each."""
        calibrated, dtype, method = self._model_for(plan.method), mixed.dtype, plan.method
        if find_method(method).refits:
            int8_db = plan.candidates.get(method, -math.inf)
            if mixed.budget.is_reached(int8_db):
                return replace(plan, tradeoffs=(Tradeoff((), int8_db, cycles_ratio=1.0),))
            method = find_method(method).refines
            if mixed.below_db is not None:  # what a refit brings need not be bought with time
                gained = max(int8_db - plan.candidates.get(method, int8_db), 0.0)
                mixed = replace(mixed, below_db=mixed.below_db - gained)
        tradeoffs = mixed_activations(
            calibrated.graph,
            plan,
            held_out,
            mixed,
            lambda tensors: apply_method(calibrated, method, tensors, dtype)[1],
            self._task.progress,
        )
        chosen = mixed.budget.best(tradeoffs).floating
        best, _ = apply_method(calibrated, method, chosen, dtype)
        return _with_tensors_of(replace(plan, tradeoffs=tuple(tradeoffs)), best)

    def final(self, plan: Plan, more: SampleSet) -> tuple[Plan, ModelProto]:
        calibrated = self._model_for(plan.method)
        self._plain = self._equalized = calibrated  # the other one takes memory
        refitted, self._refitted = self._refitted, None
        if refitted is not None and _is_as_planned(refitted[0], plan):
            stored = calibrated.refit_samples
            if not len(more) or (stored is not None and len(stored) >= _TO_REFIT):
                return plan, refitted[1]
        if len(more):
            calibrated = calibrated.observed_on(_stored(calibrated, more), len(more))
            self._plain = self._equalized = calibrated  # the statistics from before are used up
        tensors, dtype = plan.high_precision, plan.high_precision_dtype
        again, model = apply_method(calibrated, plan.method, tensors, dtype, _MOST_TO_REFIT)
        return _with_tensors_of(replace(plan, samples=again.samples), again), model

    def layers(self, plan: Plan) -> tuple[WeightedLayer, ...]:
        return self._model_for(plan.method).layers

    def _model_for(self, method: str) -> CalibratedModel:
        """Return what a method works on: with equalized channels only where it needs them."""
        if not find_method(method).equalized:
            return self._plain
        if self._equalized is None:
            self._equalized = equalized_model(self._plain, self._factors)
        return self._equalized

    @cached_property
    def _factors(self) -> dict[str, tuple[float, ...]]:
        """Return what the channels of a tensor are to be divided by, by its name."""
        # a method that was named is not asked whether it pays
        least = {"least_db": 0.0} if len(self._task.methods) == 1 else {}
        return equalization(self._task.model, self._plain.subset, **least)


def _stored(calibrated: CalibratedModel, samples: Iterable[Feeds]) -> Iterable[Feeds]:
    """Return the samples, of which those to refit on are stored as they pass."""
    refit_samples = calibrated.refit_samples
    return samples if refit_samples is None else refit_samples.passing(samples)


def _is_as_planned(refitted: Plan, plan: Plan) -> bool:
    """Return whether a candidate has the method and the types of a plan."""
    return refitted.method == plan.method and refitted.activations == plan.activations


def _with_tensors_of(plan: Plan, other: Plan) -> Plan:
    """Return a plan with all that another one says of single tensors."""
    return replace(
        plan,
        activations=other.activations,
        weights=other.weights,
        float_operators=other.float_operators,
        constants=other.constants,
    )
