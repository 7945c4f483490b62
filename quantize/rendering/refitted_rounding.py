"""Weights rounded layer by layer, each first refitted to what the float network makes there.

A layer reads what the layers before it give once they are rounded. Its weight is refitted by least
squares, so that on these inputs it gives the float network's result, and only then rounded, its
error being made up for by the layers to come. Layers that are not rounded, such as the depthwise
convolutions beside weights of 4 bits, are refitted too. Before a residual addition the target is
the float network's sum, less the other summand as it is. After Y. Li et al., "GPTAQ: efficient
finetuning-free quantization for asymmetric calibration" (ICML 2025, arXiv 2504.02692) and Y. He et
al., "Channel pruning for accelerating very deep neural networks" (ICCV 2017, arXiv 1707.06168),
section 3.2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper

from ...core.graphs.graph import Graph
from ...core.graphs.layers import residual_of
from ...core.progress import SILENT, Progress
from ...core.streaming.layerwise import LayerwiseExecutor
from ...core.streaming.shuffled_positions import shuffled_position
from ...core.types import Array, Feeds, Float64
from ..graph_parts.placement import weighted_nodes
from ..graph_parts.weighted_layers import WeightedLayer, layers_from
from ..statistics.tensor_statistics import InputMoments
from .rounding import with_layer_weights

# a layer, its weight as WeightedLayer.matrix, the moments of its inputs -> the rounded matrix
RoundMatrix = Callable[[WeightedLayer, Float64, InputMoments], Float64]

# Of the mean variance of a layer's inputs: how strongly it is pulled towards its weight as it was.
# Early layers, of few inputs and many positions, need far less than late ones.
_PULLS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_PULL = 0.3  # where too few samples are held out to choose on
_HELD_OUT_EVERY, _LEAST_HELD_OUT = 4, 8
_POSITIONS = 64  # of a sample that count
_BATCH = 8  # samples that are multiplied at once
_SMALL = 1e-12


@dataclass(frozen=True, eq=False)
class _Step:
    """A layer to refit: its place, and the tensors of its target and of what is taken off that."""

    layer: WeightedLayer
    position: int
    target: str
    other: str


def refitted_model(
    model: ModelProto,
    layers: Collection[WeightedLayer],
    samples: Iterable[Feeds],
    round_matrix: RoundMatrix,
    *,
    seed: int,
    progress: Progress = SILENT,
) -> ModelProto:
    """Return a float copy of a model with ``layers`` rounded, and what comes after them refitted.

    ``samples`` are read once; both networks run side by side on them, each layer once. A layer
    without a bias of its own or of more inputs than are treated together is rounded as it is.
    Raises SamplesError when there are no samples.
    """
    graph = Graph(model)
    rounded = {layer.name for layer in layers}
    steps = _steps(graph, rounded)
    if not steps:
        return with_layer_weights(model, {})
    # a weight that is not rounded keeps its name, by which the plan says that it is in float16
    student = with_layer_weights(
        model,
        {
            step.layer.name: (
                step.layer.weight if step.layer.name in rounded else None,
                step.layer.bias,
            )
            for step in steps
        },
    )
    tensors = {tensor.name: tensor for tensor in student.graph.initializer}
    uses = Counter(step.target for step in steps)
    teacher_run = LayerwiseExecutor(model, samples)
    teacher_run.keep(uses)
    teacher_run.run_until(steps[0].position)
    student_run = teacher_run.fork(student)
    places = {name: index for index, node in enumerate(graph.nodes) for name in node.output}
    for done, step in enumerate(steps):
        progress.step("refit layers", done, len(steps))
        layer = step.layer
        teacher_run.run_until(places[step.target] + 1)
        student_run.run_until(step.position)
        random = np.random.default_rng([seed, step.position])
        missing = _whole(step, teacher_run, student_run, random)
        matrix = missing.refitted(layer)
        if layer.name in rounded:
            matrix = round_matrix(layer, matrix, missing.moments)
        node = student.graph.node[step.position]
        _put(tensors[node.input[1]], layer.weight_like(matrix))
        if layer.bias is not None:
            lost = layer.matrix(layer.weight) - matrix
            mean = missing.mean + (lost * missing.moments.mean.reshape(layer.groups, 1, -1)).sum(
                axis=2
            )
            _put(tensors[node.input[2]], layer.bias + mean.ravel())
        uses[step.target] -= 1
        if not uses[step.target]:
            teacher_run.drop(step.target)
    progress.step("refit layers", len(steps), len(steps))
    return student


def _steps(graph: Graph, rounded: Collection[str]) -> list[_Step]:
    """Return the layers to refit in graph order, from the first one that is rounded on.

    Those that share a weight are left as they are, unless it is rounded.
    """
    places = {node.output[0]: index for index, node in enumerate(graph.nodes)}
    steps = []
    for layer in layers_from(graph, weighted_nodes(graph)):
        is_own = len(graph.consumers[layer.weight_name]) == 1
        if layer.has_columns and (is_own or layer.name in rounded):
            target, other = residual_of(graph, layer.node) or (layer.name, "")
            steps.append(_Step(layer, places[layer.name], target, other))
    steps.sort(key=lambda step: step.position)
    first = next((i for i, step in enumerate(steps) if step.layer.name in rounded), len(steps))
    return steps[first:]


class _Missing:
    """What a layer's result lacks, (groups, outputs), with the moments of the inputs beside it."""

    def __init__(self, layer: WeightedLayer) -> None:
        groups, outputs, width = layer.matrix(layer.weight).shape
        self.moments = InputMoments(groups, width)
        self.pull = _PULL
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
            self._products += missing @ x.transpose(0, 2, 1)

    def plus(self, other: _Missing) -> _Missing:
        """Return that of the samples of both, as strongly pulled as this."""
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

    def refitted(self, layer: WeightedLayer) -> Float64:
        """Return the matrix near the layer's that makes up for what is missing."""
        matrix = layer.matrix(layer.weight).astype(np.float64)
        if self._products is None:
            return matrix
        return np.asarray(matrix + _change(self._second(), self._cross(), self.pull))

    def best_pull(self, unseen: _Missing) -> float:
        """Return the one of _PULLS with which other samples lack least."""
        if self._products is None:
            return self.pull
        own, own_cross = self._second(), self._cross()
        second, cross = unseen._second(), unseen._cross()
        errors: dict[float, float] = {}
        for pull in _PULLS:
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
    return np.asarray(np.linalg.solve(held, cross.transpose(0, 2, 1)).transpose(0, 2, 1))


def _whole(
    step: _Step,
    teacher: LayerwiseExecutor,
    student: LayerwiseExecutor,
    random: np.random.Generator,
) -> _Missing:
    """Return what a layer lacks on all samples, its pull chosen on one of every four."""
    every = range(len(student))
    if len(every) < _LEAST_HELD_OUT * _HELD_OUT_EVERY:
        return _missing(step, teacher, student, every, random)
    positions = [shuffled_position(index, _HELD_OUT_EVERY) for index in every]
    fitted = [index for index in every if positions[index]]
    fit = _missing(step, teacher, student, fitted, random)
    held_out = [index for index in every if not positions[index]]
    unseen = _missing(step, teacher, student, held_out, random)
    fit.pull = fit.best_pull(unseen)
    return fit.plus(unseen)


def _missing(
    step: _Step,
    teacher: LayerwiseExecutor,
    student: LayerwiseExecutor,
    samples: Sequence[int],
    random: np.random.Generator,
) -> _Missing:
    """Return what a layer lacks on some of the samples, at some positions."""
    layer = step.layer
    gathered = _Missing(layer)
    weight = layer.matrix(layer.weight)
    bias = 0 if layer.bias is None else layer.bias.reshape(layer.groups, -1, 1)
    inputs, targets = student.values(layer.x), teacher.values(step.target)
    for start in range(0, len(samples), _BATCH):
        columns, results = [], []
        for index in samples[start : start + _BATCH]:
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


def _put(tensor: TensorProto, value: Array) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(value, np.float32), tensor.name))
