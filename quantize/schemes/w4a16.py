"""Weights of 4 bits with activations in float16, for the chips that multiply these.

The toolkit rounds such weights itself, to 7 steps on either side of 0, the largest weight of a
channel being 7. So the result is a float model whose weights already sit on that grid: rounding
them once more changes nothing. Those of depthwise and transposed convolutions, and of grouped ones
with a multiple of 8 inputs a group, the toolkit leaves in float16 (2.3.2 and 2.5.0), and so does
this. Any other grouped convolution it makes one of a single group first, and rounds that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from onnx import ModelProto

from ...core.graphs.graph import Graph
from ...core.types import Feeds, Float64, SampleSet
from ..graph_parts.four_bit_weights import four_bit_layers, other_products
from ..graph_parts.placement import weighted_nodes
from ..graph_parts.weighted_layers import (
    WeightedLayer,
    by_weight,
    layers_from,
    require_quantizable,
    shares_weight,
)
from ..methods import QuantizationMethod, Solver, find_method, min_max
from ..mixing.mixed_budget import MixedBudget, MixedPrecision
from ..mixing.weight_mix import mixed_weights
from ..numeric.grid_descent import descended
from ..numeric.scales import is_on_grid
from ..rendering.layer_refit import samples_that_fit
from ..rendering.plan import Plan, Weight
from ..rendering.refitted_rounding import refitted_model
from ..rendering.rounding import Rounded, corrected_bias, nearest, solved, with_rounded_weights
from ..statistics.sample_subset import SampleSubset
from ..statistics.tensor_statistics import (
    Calibration,
    InputMoments,
    collect_statistics,
    moments_of_all,
)
from ..trials.held_out_samples import HeldOut
from . import Handover, Mixing, Scheme, mark

LIMIT = 7
# of the scale with which nothing is clipped: with so few steps, clipping the largest weights pays
_SHARES = np.linspace(1.0, 0.4, 13)
_TRIES = 4
# samples that layers are refitted on: to compare, and for the file
_FEW_TO_REFIT, _MOST_TO_REFIT = 96, 512


class W4A16(Scheme):
    """Layers multiply in float16; mixed precision leaves some weights there, for some space."""

    quantizes = True
    methods = compared = ("gptq", "gptq-refit", "mse", "min-max")
    refusal = "is about the ranges of activations, which stay in float16 here"
    mixing = Mixing(
        kinds=("size", "sqnr"),
        rescue=MixedBudget("size", -0.15),  # the weights stay clearly smaller than in int8
        reason="beside weights of 4 bits, float16 takes space",
        hint="say how much: size=-15% is 15 % less than in int8; or ask for accuracy with sqnr=20",
        dtype="float16",
    )
    extras = ("train",)

    def candidates(self, task: Calibration) -> FourBitCandidates:
        return FourBitCandidates(task)

    def handover(self, plan: Plan) -> Handover:
        """Return the toolkit's own quantizer, which finds the grid of the weights again."""
        if plan.high_precision:
            return Handover("hybrid", self.name)
        return Handover("normal", self.name, takes_ranges=False)

    def always_planned(self, graph: Graph) -> tuple[str, ...]:
        layers = four_bit_layers(graph)
        return tuple(layer.weight_name for layer in layers)

    def plan_of(self, graph: Graph) -> Plan:
        weights = {}
        for layer in four_bit_layers(graph):
            dtype = "int4" if is_on_grid(layer.weight, layer.axis, LIMIT) else "float16"
            weights[layer.weight_name] = Weight(dtype, layer.axis, layer.channels, "the model")
        return Plan(self.name, 0, {}, weights | _never_rounded(graph), {})

    def described(self, weights: str, activations: str) -> str:
        return f"{weights} in int4, in a float model"


SCHEME = W4A16()


class FourBitCandidates:
    """Float models with weights of 4 bits; see schemes.Candidates."""

    def __init__(self, task: Calibration) -> None:
        graph = Graph(task.model)
        layers = layers_from(graph, weighted_nodes(graph))
        self._model, self._seed, self._logits = task.model, task.seed, task.logits
        self._layers = four_bit_layers(graph)
        require_quantizable(task.model, [layer.node for layer in self._layers])
        self._progress = task.progress
        self._collect = partial(
            collect_statistics,
            task.model,
            (),
            self._layers,
            seed=task.seed,
            progress=task.progress,
            total=len(task.samples),
        )
        self._most_that_fit = samples_that_fit(layers)
        refits = any(find_method(name).refits for name in task.methods)
        self._refit_samples = SampleSubset(_MOST_TO_REFIT) if refits else None
        self._statistics = self._collect(self._passing(task.samples))

    def _passing(self, samples: Iterable[Feeds]) -> Iterable[Feeds]:
        """Return the samples, of which those to refit on are stored as they pass."""
        return samples if self._refit_samples is None else self._refit_samples.passing(samples)

    def candidate(self, method: str) -> tuple[Plan, ModelProto]:
        plan = Plan(SCHEME.name, self._statistics.count, {}, self._weights((), method), {}, method)
        return plan, self._rendered(self._layers, method)

    def changes(self, method: str) -> bool:
        return True  # no method refines another one here

    def mixed(self, plan: Plan, held_out: HeldOut, mixed: MixedPrecision) -> Plan:
        rounded = self._rounded(self._layers, plan.method)

        def render_alone(layers: Sequence[WeightedLayer]) -> ModelProto:
            names = [layer.name for layer in layers]
            return with_rounded_weights(self._model, {name: rounded[name] for name in names})

        def render_together(layers: Sequence[WeightedLayer]) -> ModelProto:
            return self._rendered(layers, plan.method)

        refits = find_method(plan.method).refits
        tradeoffs = mixed_weights(
            self._model,
            self._layers,
            SCHEME.weight_bits,
            render_alone,
            render_together if refits else render_alone,
            held_out,
            mixed,
            self._progress,
        )
        weights = self._weights(mixed.budget.best(tradeoffs).floating, plan.method)
        return replace(plan, weights=weights, tradeoffs=tuple(tradeoffs))

    def final(self, plan: Plan, more: SampleSet) -> tuple[Plan, ModelProto]:
        if len(more):
            samples = self._passing(more)
            self._statistics = self._collect(samples, before=self._statistics)
        model = self._rendered(self.layers(plan), plan.method, _MOST_TO_REFIT)
        mark(model, SCHEME.name)
        return replace(plan, samples=self._statistics.count), model

    def layers(self, plan: Plan) -> list[WeightedLayer]:
        names = set(plan.integer_weights)
        return [layer for layer in self._layers if layer.weight_name in names]

    def _rendered(
        self, layers: Sequence[WeightedLayer], name: str, most: int = _FEW_TO_REFIT
    ) -> ModelProto:
        """Return the model with these layers rounded; if refitted, on ``most`` samples."""
        method = find_method(name)
        if self._refit_samples is None or not method.refits:
            return with_rounded_weights(self._model, self._rounded(layers, name))

        def round_matrix(layer: WeightedLayer, matrix: Float64, inputs: InputMoments) -> Float64:
            steps, scales = _on_grid(matrix, inputs, method)
            return np.asarray(steps * scales[:, :, None])

        samples = self._refit_samples.evenly(min(most, self._most_that_fit))
        graph = Graph(self._model)
        shared = [layer for layer in layers if shares_weight(graph, layer)]
        return refitted_model(
            self._model,
            [layer for layer in layers if layer not in shared],
            samples,
            round_matrix,
            shared=self._rounded(shared, name),
            logits=self._logits,
            seed=self._seed,
            progress=self._progress,
        )

    def _rounded(self, layers: Sequence[WeightedLayer], name: str) -> dict[str, Rounded]:
        rounded: dict[str, Rounded] = {}
        for together in by_weight(layers):
            rounded |= _rounded(together, self._statistics.moments, find_method(name))
        return rounded

    def _weights(self, floating: Collection[str], method: str) -> dict[str, Weight]:
        weights = {}
        for layer in self._layers:
            name, channels = layer.weight_name, layer.channels
            is_mixed = name in floating
            dtype, source = ("float16", "mixed precision") if is_mixed else ("int4", method)
            weights[name] = Weight(dtype, layer.axis, channels, source)
        return weights | _never_rounded(Graph(self._model))


def _never_rounded(graph: Graph) -> dict[str, Weight]:
    """Return the constants that the toolkit has to be kept from rounding."""
    constants = other_products(graph)
    return {name: Weight("float16", 0, len(constants[name]), "no layer's") for name in constants}


def _rounded(
    layers: Sequence[WeightedLayer],
    moments: Mapping[str, InputMoments],
    method: QuantizationMethod,
) -> dict[str, Rounded]:
    """Return the layers of one weight by name: that in steps of -7 to 7, and corrected biases."""
    layer, inputs = layers[0], moments_of_all(layers, moments)
    steps, scales = _on_grid(layer.matrix(layer.weight).astype(np.float64), inputs, method)
    whole, flat = layer.weight_like(steps).astype(np.int8), scales.ravel().astype(np.float32)
    rounded = {}
    for layer in layers:
        # a bias that is shared with the weight stays so
        alike = [other for other in layers if other.node.input[2:3] == layer.node.input[2:3]]
        seen = moments_of_all(alike, moments)
        bias = corrected_bias(layer, whole, flat, seen, method)
        rounded[layer.name] = Rounded(whole, flat, bias)
    return rounded


def _on_grid(
    matrix: Float64, inputs: InputMoments | None, method: QuantizationMethod
) -> tuple[Float64, Float64]:
    """Return a matrix (groups, outputs, inputs) in steps, and the scale of every output."""
    scales = np.maximum(np.abs(matrix).max(axis=2) / LIMIT, 1e-8)
    if inputs is not None and method.ranges != min_max.METHOD.ranges:
        variance = np.diagonal(inputs.covariance, axis1=1, axis2=2).reshape(len(matrix), 1, -1)
        scales = least_error_scales(matrix, variance, scales)
    if inputs is None or method.rounding.solve is None:
        return nearest(matrix, scales, LIMIT), scales
    steps, scales = _filled(method.rounding.solve, matrix, inputs, scales)
    if len(matrix) > 1 or inputs.blocks > 1:
        return steps, scales
    only = descended(matrix[0], inputs.covariance[0], steps[0], scales[0], LIMIT)
    return only[0][None], only[1][None]


def least_error_scales(matrix: Float64, variance: Float64, scales: Float64) -> Float64:
    """Return the scale (groups, outputs) of every channel with the least error of the outputs.

    The error of each weight counts with the ``variance`` (groups, 1, inputs) of its input. No scale
    is larger than ``scales``, with which nothing is clipped. Nagel et al., "A White Paper on Neural
    Network Quantization" (arXiv 2106.08295), section 3.1, weighted.

    One large weight on an input that hardly varies is clipped for the sake of the others:

    >>> matrix = np.array([[[7.0, 3.4, 3.4]]])
    >>> least_error_scales(matrix, np.array([[[0.001, 1.0, 1.0]]]), np.ones((1, 1))).round(2)
    array([[0.85]])
    """
    best, least = scales, np.full(scales.shape, np.inf)
    for share in _SHARES:
        smaller = scales * share
        lost = matrix - nearest(matrix, smaller, LIMIT) * smaller[:, :, None]
        error = (lost * lost * variance).sum(axis=2)
        best = np.where(error < least, smaller, best)
        least = np.minimum(error, least)
    return best


def _filled(
    solve: Solver, matrix: Float64, inputs: InputMoments, scales: Float64
) -> tuple[Float64, Float64]:
    """Solve such that every channel reaches 7, or the toolkit would choose another scale for it."""
    for _ in range(_TRIES):
        steps = solved(solve, matrix, inputs, scales, LIMIT)
        largest = np.abs(steps).max(axis=2)
        if (largest == LIMIT).all():
            break
        scales = np.where(largest > 0, scales * np.maximum(largest, 1) / LIMIT, scales)
    return steps, scales
