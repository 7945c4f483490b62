"""A model made 2:4 sparse layer by layer, each repaired on the outputs of those before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto

from ...core.diagnostics import option
from ...core.errors import ModelError, OptionError, SamplesError
from ...core.graphs.dense import DenseLayer, dense_layers, with_biases
from ...core.graphs.graph import Graph
from ...core.graphs.sparsity import Axis, axis_of
from ...core.progress import SILENT, Progress
from ...core.results.pruning_figures import SparseLayer, Sparsity
from ...core.session import Session
from ...core.types import Array, Feeds
from ..channels.layer_selection import matches
from ..repair.least_squares import solve
from ..repair.refit import LayerRefitter
from ..repair.refit_tasks import KeptChannels, RefitTask, refit_task
from ..repair.ridge_choice import chosen_ridge
from ..search.divergence import likeness
from .masks import fours_of
from .sparse_fit import sparse_fit

# (node, weight) of a layer -> the axes along which it may be made sparse
SparseAxes = Callable[[NodeProto, Array], tuple[Axis, ...]]

_LOOK_SAMPLES = 64
_SHOWN = 3


@dataclass(frozen=True)
class SparseMethod:
    """How to choose the mask and to repair, as PruneMethod says, and in which layers: globs."""

    criterion: str = "obs"
    recover: str = "least-squares"
    keep: tuple[str, ...] = ()
    only: tuple[str, ...] = ()


def sparsify(
    model: ModelProto,
    samples: Iterable[Feeds],
    *,
    axes: SparseAxes,
    method: SparseMethod | None = None,
    judged_on: Iterable[Feeds] | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
) -> tuple[ModelProto, Sparsity]:
    """Return a copy of a prepared model, 2:4 sparse wherever ``axes`` allows it, and its layers.

    Every layer after the first sparse one is refitted to give what ``model`` gives there, those
    that are sparse with their zeros held. The likeness is that on ``judged_on``, by default on the
    ``samples``. Raises ModelError when no layer can be sparse,
    SamplesError without samples, OptionError when a glob names no layer.
    """
    method = method or SparseMethod()
    original = with_biases(model)
    copy = ModelProto()
    copy.CopyFrom(original)
    graph = Graph(copy)
    allowed = _allowed(graph, axes, method)
    tasks = _tasks(graph, allowed)
    refitter = LayerRefitter(original, copy, samples, tasks, seed=seed)
    layers = []
    for done, task in enumerate(tasks):
        progress.step("sparse layers", done, len(tasks))
        layer = _rewrite(refitter, task, allowed.get(task.layer.weight, ()), graph, method)
        layers.extend([layer] if layer else [])
    progress.step("sparse layers", len(tasks), len(tasks))
    dense = tuple(
        layer.node.name or layer.weight
        for layer in dense_layers(graph)
        if layer.weight not in allowed
    )
    measure, value = _likeness(original, copy, samples if judged_on is None else judged_on)
    return copy, Sparsity(tuple(layers), dense, measure, value)


def require_layers(graph: Graph, globs: Iterable[str]) -> None:
    """Raise OptionError for a glob that names no layer."""
    layers = [{node.name, *node.input[1:2]} for node in graph.nodes]  # depthwise ones among them
    for glob in globs:
        if not any(matches(glob, names) for names in layers):
            some = [layer.weight for layer in dense_layers(graph)[:_SHOWN]]
            raise OptionError(
                f"{glob!r} names no layer that could be sparse",
                f"there are for example: {', '.join(some)}",
            )


def _allowed(graph: Graph, axes: SparseAxes, method: SparseMethod) -> dict[str, tuple[Axis, ...]]:
    """Return weight name -> the axes along which it may be made sparse, at least one."""
    require_layers(graph, (*method.keep, *method.only))
    allowed = {}
    for layer in dense_layers(graph):
        selected = not method.only or any(_is_named(layer, glob) for glob in method.only)
        selected = selected and not any(_is_named(layer, glob) for glob in method.keep)
        if selected and (possible := axes(layer.node, graph.weights[layer.weight])):
            allowed[layer.weight] = possible
    if not allowed:
        raise ModelError(
            "no layer of this model can be 2:4 sparse: the compiler recognises Conv, Gemm and "
            "MatMul with a multiple of 16 outputs and at least five inputs",
            f"run without {option('sparsity')}",
        )
    return allowed


def _is_named(layer: DenseLayer, glob: str) -> bool:
    return matches(glob, {layer.weight, layer.node.name or layer.weight})


def _tasks(graph: Graph, allowed: Mapping[str, object]) -> list[RefitTask]:
    """Return the tasks of the layers to make sparse, and of those that read their outputs."""
    changed: set[str] = set()
    for node in graph.nodes:
        if changed.intersection(node.input) or allowed.keys() & set(node.input):
            changed.update(node.output)
    tasks = []
    for layer in dense_layers(graph):
        if layer.weight in allowed or layer.x in changed:
            rows, columns = layer.matrix(graph.weights[layer.weight]).shape
            whole = KeptChannels(np.ones(rows, np.bool_), np.ones(columns, np.bool_))
            tasks.append(refit_task(graph, layer, whole))
    return tasks


def _rewrite(
    refitter: LayerRefitter,
    task: RefitTask,
    axes: Sequence[Axis],
    graph: Graph,
    method: SparseMethod,
) -> SparseLayer | None:
    """Refit one layer, with the best of the masks along ``axes``; return it if it is sparse."""
    layer = task.layer
    if not axes and method.recover == "none":
        return None
    parts, start = refitter.run_to(task)
    if not axes:
        has_bias = bool(layer.bias)
        strength = chosen_ridge(parts, start, has_bias=has_bias)
        refitter.put(layer, *solve(parts.whole, start, has_bias=has_bias, strength=strength))
        return None
    fours = {axis: _fours(layer, axis, graph) for axis in axes}
    sparse, bias = sparse_fit(parts, start, fours, method, has_bias=bool(layer.bias))
    refitter.put(layer, sparse.matrix, bias)
    name = layer.node.name or layer.weight
    return SparseLayer(name, sparse.axis, sparse.matrix.size, sparse.lost)


def _fours(layer: DenseLayer, axis: Axis, graph: Graph) -> NDArray[np.intp]:
    """Return the rows or columns of a layer's matrix that are neighbours along an axis."""
    weight = graph.weights[layer.weight]
    columns = layer.matrix(weight).shape[1]
    return fours_of(
        weight.shape[axis_of(layer.node, axis)], columns // weight.shape[layer.in_axis], axis
    )


def _likeness(
    original: ModelProto, copy: ModelProto, samples: Iterable[Feeds]
) -> tuple[str, float]:
    feeds = list(islice(samples, _LOOK_SAMPLES))
    if not feeds:
        raise SamplesError(
            "the samples can be read only once, but they are read again to compare",
            "give a list, or an object that starts again whenever it is iterated over",
        )
    return likeness(Session(original).stacked(feeds), Session(copy).stacked(feeds))
