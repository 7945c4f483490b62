"""Layers fitted by least squares to what the float network makes, on inputs of a rounded network.

A layer reads what the layers before it give once they are rounded. Its weight is refitted by least
squares, so that on these inputs it gives the float network's result; what becomes of it then is the
caller's, who rounds it as a rule, its error being made up for by the layers to come. Before a
residual addition the target is the float network's sum, less the other summand as it is. Both
networks run side by side, each layer once. After Y. Li et al., "GPTAQ: efficient finetuning-free
quantization for asymmetric calibration" (ICML 2025, arXiv 2504.02692) and Y. He et al., "Channel
pruning for accelerating very deep neural networks" (ICCV 2017, arXiv 1707.06168), section 3.2.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial

import numpy as np

from ...core.graphs.graph import Graph
from ...core.graphs.layers import residual_of
from ...core.linear_systems import product, solve
from ...core.progress import SILENT, Progress
from ...core.streaming.layerwise import LayerwiseExecutor
from ...core.streaming.shuffled_positions import shuffled_position
from ...core.types import Array, Float64
from ..graph_parts.weighted_layers import WeightedLayer
from ..statistics.tensor_statistics import InputMoments

_HELD_OUT_EVERY = 4
_POSITIONS = 64  # of a sample that count
_BATCH = 8  # samples that are multiplied at once
_SMALL = 1e-12
# of a layer's result on all samples: what two networks hold on the disk is about twice as much
_MOST_BYTES, _LEAST_SAMPLES = 2.5e9, 16


@dataclass(frozen=True)
class Pull:
    """How strongly a layer is pulled towards its weight as it was: parts of its inputs' variance.

    Early layers, of few inputs and many positions, need far less than late ones. So it is chosen
    ``among`` some, on a quarter of the samples; where these are less than ``least_held_out``, it is
    ``otherwise``.
    """

    among: tuple[float, ...]
    least_held_out: int
    otherwise: float


@dataclass(frozen=True, eq=False)
class RefitStep:
    """A layer to refit: ``layer.x`` and ``other`` are named as in the rounded network.

    The layer may change before the node at ``position`` has run there. ``target`` is what the float
    network makes, once its first ``ready`` nodes have run, and ``other`` is taken off that.
    """

    layer: WeightedLayer
    position: int
    target: str
    ready: int
    other: str


def refit_steps(graph: Graph, layers: Collection[WeightedLayer]) -> list[RefitStep]:
    """Return the layers to refit, in the order and by the names of their own graph."""
    places = {name: index for index, node in enumerate(graph.nodes) for name in node.output}
    steps = []
    for layer in layers:
        if layer.has_columns:
            target, other = residual_of(graph, layer.node) or (layer.name, "")
            steps.append(RefitStep(layer, places[layer.name], target, places[target] + 1, other))
    return sorted(steps, key=lambda step: step.position)


def samples_that_fit(layers: Collection[WeightedLayer]) -> int:
    """Return how many samples layers can be refitted on without filling the disk."""
    largest = max(layer.channels * layer.positions for layer in layers) * 4
    return max(int(_MOST_BYTES / largest), _LEAST_SAMPLES)


def refit_layers(
    steps: Sequence[RefitStep],
    teacher: LayerwiseExecutor,
    student: LayerwiseExecutor,
    put: Callable[[RefitStep, Shortfall, Float64], None],
    *,
    pull: Pull,
    most_bytes: float = math.inf,
    seed: int,
    progress: Progress = SILENT,
) -> None:
    """Go through the layers, and let ``put`` change each in the model that the student runs.

    It gets what the layer lacked and the matrix (groups, outputs, inputs) that makes up for it.
    Samples are multiplied one by one where the inputs of several would take ``most_bytes``.
    """
    uses = Counter(step.target for step in steps)
    teacher.keep(uses)
    for done, step in enumerate(steps):
        progress.step("refit layers", done, len(steps))
        teacher.run_until(step.ready)
        student.run_until(step.position)
        random = np.random.default_rng([seed, step.position])
        inputs = step.layer.groups * step.layer.width * min(step.layer.positions, _POSITIONS) * 4
        batch = _BATCH if inputs * _BATCH <= most_bytes else 1
        gather = partial(_missing, step, teacher, student, batch, random)
        put(step, *_refitted(step.layer, len(student), gather, pull))
        uses[step.target] -= 1
        if not uses[step.target]:
            teacher.drop(step.target)
    progress.step("refit layers", len(steps), len(steps))


class Shortfall:
    """What a layer's result lacks, (groups, outputs), with the moments of the inputs beside it."""

    def __init__(self, layer: WeightedLayer) -> None:
        groups, outputs, width = layer.matrix(layer.weight).shape
        self.moments = InputMoments(groups, width)
        self._has_bias = layer.bias is not None
        self._count = 0
        self._sum = np.zeros((groups, outputs))
        is_solved = _can_be_refitted(layer, self.moments)
        self._products = np.zeros((groups, outputs, width)) if is_solved else None

    def add(self, missing: Array, x: Array) -> None:
        """Take in what is missing (groups, outputs, n) beside inputs (groups, width, n)."""
        self.moments.add(x)
        self._count += x.shape[2]
        self._sum += missing.sum(axis=2, dtype=np.float64)
        if self._products is not None:
            self._products += product(missing, x.transpose(0, 2, 1))

    def plus(self, other: Shortfall) -> Shortfall:
        """Return that of the samples of both."""
        both = copy(self)
        both.moments = self.moments.plus(other.moments)
        both._count, both._sum = self._count + other._count, self._sum + other._sum
        if self._products is not None and other._products is not None:
            both._products = self._products + other._products
        return both

    @property
    def mean(self) -> Float64:
        """Return the mean of what is missing, (groups, outputs)."""
        return np.asarray(self._sum / self._count)

    def lost_mean(self, lost: Float64) -> Float64:
        """Return by how much the mean of each output is too low, (outputs,).

        What is ``lost`` of the matrix counts as well.
        """
        own = (lost * self.moments.mean.reshape(len(lost), 1, -1)).sum(axis=2)
        return np.asarray((self.mean + own).ravel())

    def refitted(self, layer: WeightedLayer, pull: float) -> Float64:
        """Return the matrix near the layer's that makes up for what is missing."""
        matrix = layer.matrix(layer.weight).astype(np.float64)
        if self._products is None:
            return matrix
        return np.asarray(matrix + _change(self._second(), self._cross(), pull))

    def best_pull(self, pulls: Sequence[float], unseen: Shortfall) -> float:
        """Return that of the pulls with which other samples lack least."""
        if self._products is None:
            return pulls[-1]  # nothing is solved
        own, own_cross = self._second(), self._cross()
        second, cross = unseen._second(), unseen._cross()
        errors: dict[float, float] = {}
        for pull in pulls:
            change = _change(own, own_cross, pull)
            errors[pull] = float(((change @ second - 2 * cross) * change).sum())
        return min(errors, key=lambda pull: errors[pull])

    def _second(self) -> Float64:
        """Return the second moments of the inputs: about their mean where there is a bias."""
        second, mean = self.moments.covariance, self.moments.mean
        return second if self._has_bias else second + mean[:, :, None] * mean[:, None, :]

    def _cross(self) -> Float64:
        """Return those of what is missing with the inputs, (groups, outputs, inputs)."""
        assert self._products is not None
        cross = self._products / self._count
        if self._has_bias:
            cross -= self.mean[:, :, None] * self.moments.mean[:, None, :]
        return cross


def _change(second: Float64, cross: Float64, pull: float) -> Float64:
    """Return what to add to a matrix, by least squares, so held by a part of the variance."""
    held, every = second.copy(), np.arange(second.shape[1])
    added = pull * np.trace(second, axis1=1, axis2=2) / len(every) + _SMALL
    held[:, every, every] += added[:, None]
    return solve(held, cross.transpose(0, 2, 1)).transpose(0, 2, 1)


def _refitted(
    layer: WeightedLayer, count: int, gather: Callable[[Sequence[int]], Shortfall], pull: Pull
) -> tuple[Shortfall, Float64]:
    """Return what a layer lacks on all samples, and its matrix, the pull chosen on a quarter."""
    every = range(count)
    if count < pull.least_held_out * _HELD_OUT_EVERY:
        whole, best = gather(every), pull.otherwise
    else:
        positions = [shuffled_position(index, _HELD_OUT_EVERY) for index in every]
        fit = gather([index for index in every if positions[index]])
        unseen = gather([index for index in every if not positions[index]])
        best = fit.best_pull(pull.among, unseen)
        whole = fit.plus(unseen)
        del fit, unseen  # each is as large as the weight and the moments
    return whole, whole.refitted(layer, best)


def _missing(
    step: RefitStep,
    teacher: LayerwiseExecutor,
    student: LayerwiseExecutor,
    batch: int,
    random: np.random.Generator,
    samples: Sequence[int],
) -> Shortfall:
    """Return what a layer lacks on some of the samples, at some positions."""
    layer = step.layer
    gathered = Shortfall(layer)
    weight = layer.matrix(layer.weight)
    bias = 0 if layer.bias is None else layer.bias.reshape(layer.groups, -1, 1)
    inputs, targets = student.values(layer.x), teacher.values(step.target)
    for start in range(0, len(samples), batch):
        columns, results = [], []
        for index in samples[start : start + batch]:
            at = _some_positions(layer, random)
            columns.append(layer.columns(inputs[index], at))
            target = _results(layer, targets[index], at)
            if step.other:
                target = target - _results(layer, student.values(step.other)[index], at)
            results.append(target)
        x = np.concatenate(columns, axis=2)
        gathered.add(np.concatenate(results, axis=2) - (weight @ x + bias), x)
    return gathered


def _can_be_refitted(layer: WeightedLayer, moments: InputMoments) -> bool:
    """Return whether a layer is its matrix and a bias alone, small enough to solve for."""
    plain = layer.bias is not None or layer.node.op_type == "MatMul"
    return plain and moments.blocks == 1


def _some_positions(layer: WeightedLayer, random: np.random.Generator) -> Array:
    if layer.positions <= _POSITIONS:
        return np.arange(layer.positions)
    return np.sort(random.choice(layer.positions, _POSITIONS, replace=False, shuffle=False))


def _results(layer: WeightedLayer, y: Array, at: Array) -> Array:
    """Return results at flat positions, (groups, outputs of a group, positions)."""
    if layer.node.op_type in ("Gemm", "MatMul"):
        flat = y.reshape(-1, y.shape[-1])[at].T
    else:
        flat = y[0].reshape(y.shape[1], -1)[:, at]
    return flat.reshape(layer.groups, -1, len(at))
