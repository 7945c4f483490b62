"""Closed-form repair: refit the layers that read what is left, by least squares with bias.

Layer by layer in graph order, on the pruned model's own inputs, so that a later layer also makes
up for what earlier ones lost (He, Zhang and Sun, "Channel Pruning for Accelerating Very Deep
Neural Networks", ICCV 2017, arXiv:1707.06168; the target of a layer before a residual Add is what
the Add should give, less what the other branch now gives, as in their section 3.2).

A weight that several layers share is refitted once, for all of them: by the sum of their moments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from onnx import ModelProto, numpy_helper

from ...core.graphs.dense import DenseLayer, patches, position_count, responses, tied_layers
from ...core.graphs.graph import Graph
from ...core.streaming.layerwise import LayerwiseExecutor
from ...core.streaming.moments import Moments, pooled, sampled_positions
from ...core.types import Array, Feeds, Float64
from ..channels.model_diff import affected, first_change, sum_of
from .least_squares import bias_of, solve


@dataclass(frozen=True)
class Cut:
    """Which rows and columns of a layer's matrix a pruned layer still has."""

    outputs: Array
    inputs: Array


@dataclass(frozen=True)
class Before:
    """The model that one in hand was cut from, and what is left of its dense layers so far."""

    model: ModelProto
    cuts: Mapping[str, Cut]

    def then(self, cuts: Mapping[str, Cut]) -> Before:
        """What another cut leaves, of the layers that it names.

        >>> half = Cut(np.array([True, False, True]), np.array([True, True]))
        >>> again = Cut(np.array([False, True]), np.array([True, False]))
        >>> both = Before(ModelProto(), {"w": half}).then({"w": again}).cuts["w"]
        >>> both.outputs.tolist(), both.inputs.tolist()
        ([False, False, True], [True, False])
        """
        return Before(
            self.model,
            {
                name: _joined(self.cuts[name], cut) if name in self.cuts else cut
                for name, cut in cuts.items()
            },
        )


def _joined(first: Cut, then: Cut) -> Cut:
    outputs, inputs = first.outputs.copy(), first.inputs.copy()
    outputs[first.outputs], inputs[first.inputs] = then.outputs, then.inputs
    return Cut(outputs, inputs)


def refit(
    original: ModelProto,
    pruned: ModelProto,
    cuts: Mapping[str, Cut],
    samples: Iterable[Feeds],
    *,
    seed: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> ModelProto:
    """Return a copy of ``pruned`` with its affected layers refitted to ``original``.

    ``cuts`` maps the weight name of every dense layer to what is left of it. ``samples`` is read
    once: both models are walked through side by side, and no layer runs twice.
    """
    model = ModelProto()
    model.CopyFrom(pruned)
    graph = Graph(model)
    weights = affected(graph, Graph(original))
    ties = [users for users in tied_layers(graph) if users[0].weight in weights]
    if ties:
        begin = first_change(graph, Graph(original))
        jobs = [_tied_job(graph, users, cuts[users[0].weight], begin) for users in ties]
        jobs.sort(key=lambda job: job.position)
        teacher = LayerwiseExecutor(original, samples)
        teacher.keep(name for job in jobs for name in job.wanted)
        teacher.run_until(begin)
        both = SideBySide(original, model, teacher, teacher.fork(model), seed, jobs)
        for done, job in enumerate(jobs):
            on_progress(done, len(jobs))
            both.refit(job)
    on_progress(len(ties), len(ties))
    return model


@dataclass(frozen=True)
class Job:
    """A layer to refit: ``target`` less ``other`` is what it should give, where there is one.

    ``sharing`` are the other layers with the same weight; each should give its own result on its
    own input in the original, as theirs in the smaller model come later, or have not changed.
    """

    layer: DenseLayer
    cut: Cut
    position: int
    target: str
    other: str
    sharing: tuple[DenseLayer, ...] = ()

    @property
    def wanted(self) -> list[str]:
        """The tensors of the original that are needed."""
        return [self.target, *(name for layer in self.sharing for name in (layer.x, layer.y))]


def job_of(graph: Graph, layer: DenseLayer, cut: Cut) -> Job:
    """A layer with what it should give: its own result, or that of the residual Add after it."""
    position = next(i for i, node in enumerate(graph.nodes) if layer.y in node.output)
    total, other = sum_of(graph, layer)
    return Job(layer, cut, position, total or layer.y, other)


def _tied_job(graph: Graph, users: Sequence[DenseLayer], cut: Cut, begin: int) -> Job:
    """One job for all layers of a weight: at the first of them that something has changed for."""
    jobs = [job_of(graph, layer, cut) for layer in users]
    first = next(job for job in jobs if job.position >= begin)
    return replace(first, sharing=tuple(one.layer for one in jobs if one is not first))


class SideBySide:
    """The original and the pruned model, walked through side by side, for ``jobs`` in order.

    The teacher has been told to keep what they want.
    """

    def __init__(
        self,
        original: ModelProto,
        model: ModelProto,
        teacher: LayerwiseExecutor,
        student: LayerwiseExecutor,
        seed: int,
        jobs: Sequence[Job],
    ) -> None:
        self._wanted = Counter(name for job in jobs for name in job.wanted)
        self._model = model
        self._teacher = teacher
        self._student = student
        self._seed = seed
        self._made = {
            name: index for index, node in enumerate(original.graph.node) for name in node.output
        }
        self._shapes = {tensor.name: tuple(tensor.dims) for tensor in original.graph.initializer}

    def reach(self, job: Job) -> tuple[Moments, Float64]:
        """Run up to a layer: the moments of its inputs and targets, and its matrix as it is.

        The layers come in the order of the graph.
        """
        weight = _stored(self._model, job.layer.weight)
        assert weight is not None
        self._teacher.run_until(self._made[job.target] + 1)
        self._student.run_until(job.position)
        moments = self._moments(job, weight)
        self._drop(job.target)
        return moments, job.layer.matrix(weight)

    def refit(self, job: Job) -> None:
        """Solve for a layer's matrix, which others may share, and for the bias of each of them."""
        moments, start = self.reach(job)
        has_bias = self.has_bias(job)
        found = [(job.layer, moments)]
        found += [(layer, self._of_original(layer, job.cut)) for layer in job.sharing]
        if job.sharing:
            moments = pooled([part for _, part in found], centred=has_bias)
        matrix, _ = solve(moments, start, has_bias=has_bias)
        for layer, part in found:
            offset = bias_of(part, matrix, has_bias=has_bias)
            self.put(replace(job, layer=layer), matrix, offset)

    def _of_original(self, layer: DenseLayer, cut: Cut) -> Moments:
        """The moments of a layer's inputs and targets in the original, of what is left of them."""
        self._teacher.run_until(self._made[layer.y] + 1)
        whole = np.empty(self._shapes[layer.weight], np.bool_)
        moments = Moments(int(cut.inputs.sum()), int(cut.outputs.sum()))
        pairs = zip(self._teacher.values(layer.x), self._teacher.values(layer.y), strict=True)
        for index, (x, y) in enumerate(pairs):
            at = sampled_positions(position_count(layer, x, y), index, self._seed)
            rows = patches(layer.node, x, whole, at)[:, cut.inputs]
            moments.add(rows, responses(layer, y, whole, at)[:, cut.outputs])
        self._drop(layer.x)
        self._drop(layer.y)
        return moments

    def _drop(self, name: str) -> None:
        self._wanted[name] -= 1
        if not self._wanted[name]:
            self._teacher.drop(name)

    def has_bias(self, job: Job) -> bool:
        """Whether a layer has a bias that may be changed."""
        return _stored(self._model, job.layer.bias) is not None

    def put(self, job: Job, matrix: Float64, offset: Float64 | None) -> None:
        """Give a layer of the pruned model another matrix, and another bias if there is one."""
        layer = job.layer
        weight, bias = _stored(self._model, layer.weight), _stored(self._model, layer.bias)
        assert weight is not None
        _store(self._model, layer.weight, layer.weight_like(matrix, weight))
        if bias is not None and offset is not None:
            _store(self._model, layer.bias, _as_bias(layer, offset, bias))

    def _moments(self, job: Job, weight: Array) -> Moments:
        layer, whole = job.layer, np.empty(self._shapes[job.layer.weight], np.bool_)
        rows, columns = layer.matrix(weight).shape
        moments = Moments(columns, rows)
        targets, inputs = self._teacher.values(job.target), self._student.values(layer.x)
        others = self._student.values(job.other) if job.other else None
        for index in range(len(self._teacher)):
            x, y = inputs[index], targets[index]
            at = sampled_positions(position_count(layer, x, y), index, self._seed)
            target = responses(layer, y, whole, at)[:, job.cut.outputs]
            if others is not None:
                target = target - responses(layer, others[index], weight, at)
            moments.add(patches(layer.node, x, weight, at), target)
        return moments


def _as_bias(layer: DenseLayer, bias: Float64, like: Array) -> Array:
    if layer.node.op_type == "ConvTranspose":  # one bias serves all taps of an output channel
        bias = bias.reshape(like.size, -1).mean(axis=1)
    return np.ascontiguousarray(bias.reshape(like.shape), dtype=like.dtype)


def _stored(model: ModelProto, name: str) -> Array | None:
    found = (tensor for tensor in model.graph.initializer if name and tensor.name == name)
    return next((np.asarray(numpy_helper.to_array(tensor)) for tensor in found), None)


def _store(model: ModelProto, name: str, value: Array) -> None:
    tensor = next(t for t in model.graph.initializer if t.name == name)
    tensor.CopyFrom(numpy_helper.from_array(value, name))
