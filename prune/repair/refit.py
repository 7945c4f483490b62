"""Closed-form repair: layers that read the remaining channels are refitted by least squares.

Layer by layer in graph order, on the pruned model's own inputs, so that a later layer also makes
up for what earlier ones lost (He, Zhang and Sun, "Channel Pruning for Accelerating Very Deep
Neural Networks", ICCV 2017, arXiv:1707.06168; the target of a layer before a residual Add is the
Add's original output, less the present output of the other branch, as in their section 3.2).

A weight that several layers share is refitted once, for all of them: by the sum of their moments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper

from ...core.diagnostics import option
from ...core.errors import NotFiniteError
from ...core.graphs.dense import DenseLayer, patches, position_count, responses, tied_layers
from ...core.graphs.graph import Graph
from ...core.graphs.score_branches import score_layers
from ...core.progress import SILENT, Progress
from ...core.streaming.layerwise import LayerwiseExecutor, SpooledArrays
from ...core.streaming.moments import Moments, pooled, sampled_positions
from ...core.streaming.score_positions import positions_by_score
from ...core.streaming.shuffled_positions import shuffled_position
from ...core.types import Array, Feeds, Float64
from ..channels.model_diff import affected_weights, first_change
from .least_squares import bias_of, solve
from .refit_tasks import KeptChannels, RefitTask, tied_task
from .ridge_choice import HELD_OUT_EVERY, HELD_OUT_POSITION, HeldOutMoments, chosen_ridge

_SCORE_RIDGE = 0.3  # of the fit where something is found: in too few samples to choose it by


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
    logits: Collection[str] = (),
    progress: Progress = SILENT,
) -> ModelProto:
    """Return a copy of ``pruned`` with its affected layers refitted to the teacher's model.

    ``teacher`` has the channels that stay of every dense layer. ``samples`` is read once: both
    models run side by side, and no layer runs twice. A sample of every four decides on the
    ridge of each layer, and is then fitted with the others. The last layers of scores are fitted
    where something is found; ``logits`` are the outputs that a Sigmoid reads on the host.
    """
    model = ModelProto()
    model.CopyFrom(pruned)
    graph, original = Graph(model), Graph(teacher.model)
    weights = affected_weights(graph, original)
    ties = [users for users in tied_layers(graph) if users[0].weight in weights]
    if ties:
        start = first_change(graph, original)
        scores = score_layers(graph, logits)
        tasks = [
            tied_task(graph, users, teacher.channels[users[0].weight], start) for users in ties
        ]
        tasks.sort(key=lambda task: task.position)
        refitter = LayerRefitter(teacher.model, model, samples, tasks, seed=seed, start=start)
        for done, task in enumerate(tasks):
            progress.step("refit layers", done, len(tasks))
            if task.layer.y in scores and not task.sharing:
                refitter.refit_scores(task)
            else:
                refitter.refit(task)
    progress.step("refit layers", len(ties), len(ties))
    return model


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
        self._run_to(task)
        parts = self._moments(task)
        self._drop(task.target)
        return parts, self._matrix(task)

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

    def refit_scores(self, task: RefitTask) -> None:
        """Solve for a layer's matrix as above, then again near that where something is found."""
        self._run_to(task)
        parts, has_bias = self._moments(task), bool(task.layer.bias)
        strength = chosen_ridge(parts, self._matrix(task), has_bias=has_bias)
        matrix, _ = solve(parts.whole, self._matrix(task), has_bias=has_bias, strength=strength)
        by_score = self._moments(task, self._drawn_by_score(task)).whole
        self._drop(task.target)
        self.put(task.layer, *solve(by_score, matrix, has_bias=has_bias, strength=_SCORE_RIDGE))

    def _run_to(self, task: RefitTask) -> None:
        self._teacher.run_until(self._producer[task.target] + 1)
        self._student.run_until(task.position)

    def _matrix(self, task: RefitTask) -> Float64:
        return task.layer.matrix(initializer(self._model, task.layer.weight))

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

    def _moments(
        self, task: RefitTask, drawn: Sequence[NDArray[np.int64]] | None = None
    ) -> HeldOutMoments:
        """Return those at some positions of each sample, or at those ``drawn``."""
        layer, whole = task.layer, np.empty(self._shapes[task.layer.weight], np.bool_)
        weight = initializer(self._model, layer.weight)
        rows, columns = layer.matrix(weight).shape
        fitted, held_out = Moments(columns, rows), Moments(columns, rows)
        targets, inputs = self._teacher.values(task.target), self._student.values(layer.x)
        others = self._student.values(task.other) if task.other else None
        for index in range(len(self._teacher)):
            x, y = inputs[index], targets[index]
            at = sampled_positions(position_count(layer, x, y), index, self._seed)
            if drawn is not None:
                at = drawn[index]
            target = responses(layer, y, whole, at)[:, task.channels.outputs]
            if others is not None:
                target = target - responses(layer, others[index], weight, at)
            is_held_out = shuffled_position(index, HELD_OUT_EVERY) == HELD_OUT_POSITION
            part = held_out if is_held_out else fitted
            part.add(patches(layer.node, x, weight, at), target)
        return HeldOutMoments(fitted, held_out, len(self._teacher))

    def _drawn_by_score(self, task: RefitTask) -> list[NDArray[np.int64]]:
        """Return the positions of each sample by the scores of the original."""
        shape, layer = self._shapes[task.layer.weight], task.layer
        pairs = self._student.values(layer.x), self._teacher.values(task.target)
        logits = _Logits(layer, np.empty(shape, np.bool_), *pairs)
        return positions_by_score(logits, np.random.default_rng([self._seed, task.position]))


@dataclass(frozen=True)
class _Logits:
    """The results of a layer of this ``weight``, (outputs, positions) of each sample, read anew."""

    layer: DenseLayer
    weight: Array
    inputs: SpooledArrays
    results: SpooledArrays

    def __iter__(self) -> Iterator[Array]:
        for x, y in zip(self.inputs, self.results, strict=True):
            at = np.arange(position_count(self.layer, x, y))
            yield responses(self.layer, y, self.weight, at).T


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
