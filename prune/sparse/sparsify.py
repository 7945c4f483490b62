"""Make a model's layers 2:4 sparse, one after the other, each repaired on what comes before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from onnx import ModelProto, NodeProto

from ...core.diagnostics import option
from ...core.errors import ModelError, OptionError, SamplesError
from ...core.graphs.dense import DenseLayer, dense_layers, with_biases
from ...core.graphs.graph import Graph
from ...core.graphs.sparsity import Axis, axis_of
from ...core.session import Session
from ...core.streaming.layerwise import Walk
from ...core.streaming.moments import Moments, ridge
from ...core.types import Array, Feeds, Float64
from ..channels.layer_selection import matches
from ..repair.least_squares import RIDGE, bias_of, second_moments, solve
from ..repair.refit import Cut, Job, SideBySide, job_of
from ..results.prune_result import SparseLayer, Sparsity
from ..search.divergence import likeness
from .masks import fours_of, held_least_squares, lost_part, sparse_mask

# which axes of a layer may be made sparse, of its node and its weight
Axes = Callable[[NodeProto, Array], tuple[Axis, ...]]

_LOOK_SAMPLES = 64
_SHOWN = 3


@dataclass(frozen=True)
class SparseMethod:
    """How to choose the mask and to repair, as prune.prune.Method says, and where: globs."""

    criterion: str = "obs"
    recover: str = "least-squares"
    keep: tuple[str, ...] = ()
    only: tuple[str, ...] = ()


def sparsify(
    model: ModelProto,
    samples: Iterable[Feeds],
    *,
    axes: Axes,
    method: SparseMethod | None = None,
    seed: int = 0,
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> tuple[ModelProto, Sparsity]:
    """A copy of a prepared model with 2:4 sparse weights wherever ``axes`` allows it; and what.

    Every layer after the first sparse one is refitted to give what ``model`` gives there, those
    that are sparse with their zeros held. Raises ModelError when no layer can be sparse,
    SamplesError without samples, OptionError when a glob names no layer.
    """
    method = method or SparseMethod()
    original = with_biases(model)
    copy = ModelProto()
    copy.CopyFrom(original)
    graph = Graph(copy)
    allowed = _allowed(graph, axes, method)
    jobs = _jobs(graph, allowed)
    teacher = Walk(original, samples)
    teacher.keep(job.target for job in jobs)
    both = SideBySide(original, copy, teacher, teacher.fork(copy), seed, jobs)
    found = []
    for done, job in enumerate(jobs):
        on_progress("sparse layers", done, len(jobs))
        made = _make(both, job, allowed.get(job.layer.weight, ()), graph, method)
        found.extend([made] if made else [])
    on_progress("sparse layers", len(jobs), len(jobs))
    dense = tuple(
        layer.node.name or layer.weight
        for layer in dense_layers(graph)
        if layer.weight not in allowed
    )
    measure, value = _likeness(original, copy, samples)
    return copy, Sparsity(tuple(found), dense, measure, value)


def require_layers(graph: Graph, globs: Iterable[str]) -> None:
    """Raise OptionError for a glob that names no layer."""
    known = [{node.name, *node.input[1:2]} for node in graph.nodes]  # depthwise ones among them
    for glob in globs:
        if not any(matches(glob, names) for names in known):
            some = [one.weight for one in dense_layers(graph)[:_SHOWN]]
            raise OptionError(
                f"{glob!r} names no layer that could be sparse",
                f"there are for example: {', '.join(some)}",
            )


def _allowed(graph: Graph, axes: Axes, method: SparseMethod) -> dict[str, tuple[Axis, ...]]:
    """Weight name -> the axes along which it may be made sparse, at least one."""
    require_layers(graph, (*method.keep, *method.only))
    found = {}
    for layer in dense_layers(graph):
        wanted = not method.only or any(_is_named(layer, glob) for glob in method.only)
        held = any(_is_named(layer, glob) for glob in method.keep)
        may = axes(layer.node, graph.weights[layer.weight]) if wanted and not held else ()
        if may:
            found[layer.weight] = may
    if not found:
        raise ModelError(
            "no layer of this model can be 2:4 sparse: the compiler recognises Conv, Gemm and "
            "MatMul with a multiple of 16 outputs and at least five inputs",
            f"run without {option('sparsity')}",
        )
    return found


def _is_named(layer: DenseLayer, glob: str) -> bool:
    return matches(glob, {layer.weight, layer.node.name or layer.weight})


def _jobs(graph: Graph, allowed: Mapping[str, object]) -> list[Job]:
    """The layers to make sparse, and those that only read what sparse ones have changed."""
    changed: set[str] = set()
    for node in graph.nodes:
        if changed.intersection(node.input) or allowed.keys() & set(node.input):
            changed.update(node.output)
    jobs = []
    for layer in dense_layers(graph):
        if layer.weight in allowed or layer.x in changed:
            rows, columns = layer.matrix(graph.weights[layer.weight]).shape
            whole = Cut(np.ones(rows, np.bool_), np.ones(columns, np.bool_))
            jobs.append(job_of(graph, layer, whole))
    return jobs


def _make(
    both: SideBySide, job: Job, axes: Sequence[Axis], graph: Graph, method: SparseMethod
) -> SparseLayer | None:
    """Refit one layer; with its best mask of those that the ``axes`` allow, if any."""
    repairs = method.recover != "none"
    if not axes and not repairs:
        return None
    moments, start = both.reach(job)
    has_bias = both.has_bias(job)
    matrix, bias = start, None
    if repairs:
        matrix, bias = solve(moments, start, has_bias=has_bias)
    if not axes:
        both.put(job, matrix, bias)
        return None
    best = min(
        (_sparse(job.layer, matrix, moments, axis, graph, method, has_bias) for axis in axes),
        key=lambda one: one[2],
    )
    axis, sparse, lost = best
    both.put(job, sparse, bias_of(moments, sparse, has_bias=has_bias) if repairs else None)
    layer = job.layer
    return SparseLayer(layer.node.name or layer.weight, axis, sparse.size, lost)


def _sparse(
    layer: DenseLayer,
    matrix: Float64,
    moments: Moments,
    axis: Axis,
    graph: Graph,
    method: SparseMethod,
    has_bias: bool,
) -> tuple[Axis, Float64, float]:
    """The matrix with zeros along an axis, and the part of its outputs' power that they cost."""
    second = ridge(second_moments(moments, has_bias=has_bias), RIDGE)
    weight = graph.weights[layer.weight]
    channels = weight.shape[axis_of(layer.node, axis)]
    fours = fours_of(channels, matrix.shape[1] // weight.shape[layer.in_axis], axis)
    kept = sparse_mask(matrix, second, fours, axis, method.criterion)
    made = matrix * kept if method.recover == "none" else held_least_squares(matrix, second, kept)
    return axis, made, lost_part(matrix, made, second)


def _likeness(
    original: ModelProto, copy: ModelProto, samples: Iterable[Feeds]
) -> tuple[str, float]:
    few = list(islice(samples, _LOOK_SAMPLES))
    if not few:
        raise SamplesError(
            "the samples can be read only once, but they are read again to compare",
            "give a list, or an object that starts again whenever it is iterated over",
        )
    return likeness(Session(original).stacked(few), Session(copy).stacked(few))
