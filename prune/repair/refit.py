"""Closed-form repair: layers that read the remaining channels are refitted by least squares.

Layer by layer in graph order, on the pruned model's own inputs, so that a later layer also makes
up for what earlier ones lost (He, Zhang and Sun, "Channel Pruning for Accelerating Very Deep
Neural Networks", ICCV 2017, arXiv:1707.06168; the target of a layer before a residual Add is the
Add's original output, less the present output of the other branch, as in their section 3.2).

A weight that several layers share is refitted once, for all of them: by the sum of their moments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from onnx import ModelProto, numpy_helper

from ...core.diagnostics import option
from ...core.errors import NotFiniteError
from ...core.graphs.dense import DenseLayer, patches, position_count, responses, tied_layers
from ...core.graphs.graph import Graph
from ...core.progress import SILENT, Progress
from ...core.streaming.layerwise import LayerwiseExecutor
from ...core.streaming.moments import Moments, pooled, sampled_positions
from ...core.streaming.shuffled_positions import shuffled_position
from ...core.types import Array, Feeds, Float64
from ..channels.model_diff import affected_weights, first_change, residual_sum
from .least_squares import bias_of, solve
from .ridge_choice import HELD_OUT_EVERY, HELD_OUT_POSITION, HeldOutMoments, chosen_ridge


@dataclass(frozen=True)
class KeptChannels:
    """The rows (outputs) and columns (inputs) of a layer's matrix that stay, as boolean masks."""

    outputs: Array
    inputs: Array

    def after(self, first: KeptChannels) -> KeptChannels:
        """Return the same rows and columns as masks over the matrix before the cut ``first``."""
        outputs, inputs = first.outputs.copy(), first.inputs.copy()
        outputs[first.outputs], inputs[first.inputs] = self.outputs, self.inputs
        return KeptChannels(outputs, inputs)


@dataclass(frozen=True)
class Teacher:
    """The model that a pruned model was cut from, and the channels of it that stay so far.

    ``channels`` maps the weight name of every dense layer that was cut to these.
    """

    model: ModelProto
    channels: Mapping[str, KeptChannels]

    def after(self, cut: Mapping[str, KeptChannels]) -> Teacher:
        """Return the teacher of the model after another cut, for the layers that this one names.

        >>> half = KeptChannels(np.array([True, False, True]), np.array([True, True]))
        >>> again = KeptChannels(np.array([False, True]), np.array([True, False]))
        >>> both = Teacher(ModelProto(), {"w": half}).after({"w": again}).channels["w"]
        >>> both.outputs.tolist(), both.inputs.tolist()
        ([False, False, True], [True, False])
        """
        earlier = self.channels
        return Teacher(
            self.model,
            {
                name: last.after(earlier[name]) if name in earlier else last
                for name, last in cut.items()
            },
        )


def refit(
    teacher: Teacher,
    pruned: ModelProto,
    samples: Iterable[Feeds],
    *,
    seed: int,
    progress: Progress = SILENT,
) -> ModelProto:
    """Return a copy of ``pruned`` with its affected layers refitted to the teacher's model.

    ``teacher`` has the channels that stay of every dense layer. ``samples`` is read once: both
    models run side by side, and no layer runs twice. A sample of every four decides on the
    ridge of each layer, and is then fitted with the others.
    """
    model = ModelProto()
    model.CopyFrom(pruned)
    graph, original = Graph(model), Graph(teacher.model)
    weights = affected_weights(graph, original)
    ties = [users for users in tied_layers(graph) if users[0].weight in weights]
    if ties:
        start = first_change(graph, original)
        tasks = [
            _tied_task(graph, users, teacher.channels[users[0].weight], start) for users in ties
        ]
        tasks.sort(key=lambda task: task.position)
        refitter = LayerRefitter(teacher.model, model, samples, tasks, seed=seed, start=start)
        for done, task in enumerate(tasks):
            progress.step("refit layers", done, len(tasks))
            refitter.refit(task)
    progress.step("refit layers", len(ties), len(ties))
    return model


@dataclass(frozen=True)
class RefitTask:
    """A layer to refit: it should give the tensor ``target``, less ``other`` where there is one.

    ``sharing`` are the other layers with the same weight; each should give its own result on its
    own input in the original, as theirs in the smaller model come later, or have not changed.
    """

    layer: DenseLayer
    channels: KeptChannels
    position: int
    target: str
    other: str
    sharing: tuple[DenseLayer, ...] = ()

    @property
    def teacher_tensors(self) -> list[str]:
        """Return the names of the tensors of the original that are needed."""
        return [self.target, *(name for layer in self.sharing for name in (layer.x, layer.y))]


def refit_task(graph: Graph, layer: DenseLayer, channels: KeptChannels) -> RefitTask:
    """Return the task of a layer: to give its own result, or that of the residual Add after it."""
    position = next(i for i, node in enumerate(graph.nodes) if layer.y in node.output)
    total, other = residual_sum(graph, layer)
    return RefitTask(layer, channels, position, total or layer.y, other)


def _tied_task(
    graph: Graph, users: Sequence[DenseLayer], channels: KeptChannels, start: int
) -> RefitTask:
    """Return one task for all layers of a weight, at the first of them after the node ``start``."""
    tasks = [refit_task(graph, layer, channels) for layer in users]
    first = next(task for task in tasks if task.position >= start)
    return replace(first, sharing=tuple(task.layer for task in tasks if task is not first))


class LayerRefitter:
    """The original and the pruned model, run side by side on all samples, for ``tasks`` in order.

    The nodes before ``start`` are the same in both.
    """

    def __init__(
        self,
        original: ModelProto,
        model: ModelProto,
        samples: Iterable[Feeds],
        tasks: Sequence[RefitTask],
        *,
        seed: int,
        start: int = 0,
    ) -> None:
        self._uses = Counter(name for task in tasks for name in task.teacher_tensors)
        self._model = model
        self._teacher = LayerwiseExecutor(original, samples)
        self._teacher.keep(self._uses)
        self._teacher.run_until(start)
        self._student = self._teacher.fork(model)
        self._seed = seed
        self._producer = {
            name: index for index, node in enumerate(original.graph.node) for name in node.output
        }
        self._shapes = {tensor.name: tuple(tensor.dims) for tensor in original.graph.initializer}

    def run_to(self, task: RefitTask) -> tuple[HeldOutMoments, Float64]:
        """Return the moments of a layer's inputs and targets, and its present matrix.

        The layers must come in the order of the graph.
        """
        weight = initializer(self._model, task.layer.weight)
        self._teacher.run_until(self._producer[task.target] + 1)
        self._student.run_until(task.position)
        parts = self._moments(task, weight)
        self._drop(task.target)
        return HeldOutMoments(*parts, len(self._teacher)), task.layer.matrix(weight)

    def refit(self, task: RefitTask) -> None:
        """Solve for a layer's matrix, which others may share, and for the bias of each of them."""
        parts, start = self.run_to(task)
        has_bias, moments = bool(task.layer.bias), parts.whole
        strength = chosen_ridge(parts, start, has_bias=has_bias)
        moments_of = [(task.layer, moments)]
        moments_of += [
            (layer, self._teacher_moments(layer, task.channels)) for layer in task.sharing
        ]
        if task.sharing:
            moments = pooled([part for _, part in moments_of], centred=has_bias)
        matrix, _ = solve(moments, start, has_bias=has_bias, strength=strength)
        for layer, part in moments_of:
            self.put(layer, matrix, bias_of(part, matrix, has_bias=has_bias))

    def _teacher_moments(self, layer: DenseLayer, channels: KeptChannels) -> Moments:
        """Return the moments of the inputs and targets that stay of a layer in the original."""
        self._teacher.run_until(self._producer[layer.y] + 1)
        whole = np.empty(self._shapes[layer.weight], np.bool_)
        moments = Moments(int(channels.inputs.sum()), int(channels.outputs.sum()))
        pairs = zip(self._teacher.values(layer.x), self._teacher.values(layer.y), strict=True)
        for index, (x, y) in enumerate(pairs):
            at = sampled_positions(position_count(layer, x, y), index, self._seed)
            rows = patches(layer.node, x, whole, at)[:, channels.inputs]
            moments.add(rows, responses(layer, y, whole, at)[:, channels.outputs])
        self._drop(layer.x)
        self._drop(layer.y)
        return moments

    def _drop(self, name: str) -> None:
        self._uses[name] -= 1
        if not self._uses[name]:
            self._teacher.drop(name)

    def put(self, layer: DenseLayer, matrix: Float64, bias: Float64 | None) -> None:
        """Give a layer of the pruned model another matrix, and another bias if it has one."""
        weight = initializer(self._model, layer.weight)
        set_initializer(self._model, layer.weight, layer.weight_like(matrix, weight))
        if layer.bias and bias is not None:
            like = initializer(self._model, layer.bias)
            set_initializer(self._model, layer.bias, _as_bias(layer, bias, like))

    def _moments(self, task: RefitTask, weight: Array) -> tuple[Moments, Moments]:
        layer, whole = task.layer, np.empty(self._shapes[task.layer.weight], np.bool_)
        rows, columns = layer.matrix(weight).shape
        fitted, held_out = Moments(columns, rows), Moments(columns, rows)
        targets, inputs = self._teacher.values(task.target), self._student.values(layer.x)
        others = self._student.values(task.other) if task.other else None
        for index in range(len(self._teacher)):
            x, y = inputs[index], targets[index]
            at = sampled_positions(position_count(layer, x, y), index, self._seed)
            target = responses(layer, y, whole, at)[:, task.channels.outputs]
            if others is not None:
                target = target - responses(layer, others[index], weight, at)
            is_held_out = shuffled_position(index, HELD_OUT_EVERY) == HELD_OUT_POSITION
            part = held_out if is_held_out else fitted
            part.add(patches(layer.node, x, weight, at), target)
        return fitted, held_out


def _as_bias(layer: DenseLayer, bias: Float64, like: Array) -> Array:
    if layer.node.op_type == "ConvTranspose":  # one bias serves all taps of an output channel
        bias = bias.reshape(like.size, -1).mean(axis=1)
    return np.ascontiguousarray(bias.reshape(like.shape), dtype=like.dtype)


def initializer(model: ModelProto, name: str) -> Array:
    """Return the value of an initializer of a model."""
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    return np.asarray(numpy_helper.to_array(tensor))


def set_initializer(model: ModelProto, name: str, value: Array) -> None:
    """Give an initializer of a model another value. Raises NotFiniteError for NaN or infinity."""
    if not np.isfinite(value).all():
        raise NotFiniteError(
            f"fitted to these calibration samples the weight {name!r} is NaN or infinite",
            "leave out samples that are far larger than the others, or check "
            f"{option('mean')} and {option('std')}",
        )
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    tensor.CopyFrom(numpy_helper.from_array(value, name))
