"""Closed-form repair: refit the layers that read what is left, by least squares with bias.

Layer by layer in graph order, on the pruned model's own inputs, so that a later layer also makes
up for what earlier ones lost (He, Zhang and Sun, "Channel Pruning for Accelerating Very Deep
Neural Networks", ICCV 2017, arXiv:1707.06168; the target of a layer before a residual Add is what
the Add should give, less what the other branch now gives, as in their section 3.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, numpy_helper

from ..calibration_data.moments import Float, Moments, ridge, sampled_positions
from ..core.dense import DenseLayer, dense_layers, patches, position_count, responses
from ..core.graph import Array, Graph
from ..core.session import Session
from ..core.submodel import up_to

Feeds = Mapping[str, Array]
_RIDGE = 1e-3


@dataclass(frozen=True)
class Cut:
    """Which rows and columns of a layer's matrix a pruned layer still has."""

    outputs: Array
    inputs: Array


def solve(moments: Moments, start: Float, *, has_bias: bool = True) -> tuple[Float, Float]:
    """Matrix (m, d) and bias (m,) that best predict the targets, pulled towards ``start``.

    Minimises |Y - W X - b|^2 + r |W - start|^2 with r relative to the inputs' mean variance; b is
    zero for a layer that has none.

    >>> moments = Moments(1, 1)
    >>> moments.add(np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [3.0], [5.0]]))
    >>> matrix, bias = solve(moments, np.array([[2.0]]))
    >>> np.round(matrix, 6).tolist(), np.round(bias, 6).tolist()
    ([[2.0]], [1.0])
    """
    covariance, cross = moments.covariance, moments.cross
    if not has_bias:  # moments about zero instead of about the mean
        covariance = covariance + np.outer(moments.mean_x, moments.mean_x)
        cross = cross + np.outer(moments.mean_y, moments.mean_x)
    missing = cross - start @ covariance
    matrix = start + np.linalg.solve(ridge(covariance, _RIDGE), missing.T).T
    bias = moments.mean_y - matrix @ moments.mean_x
    return matrix, bias if has_bias else np.zeros_like(bias)


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

    ``cuts`` maps the weight name of every dense layer to what is left of it. ``samples`` is
    re-iterable: it is read once per layer, one sample in memory at a time.
    """
    model = ModelProto()
    model.CopyFrom(pruned)
    graph, before = Graph(model), Graph(original)
    layers = [layer for layer in dense_layers(graph) if layer.weight in _affected(graph, before)]
    for done, layer in enumerate(layers):
        on_progress(done, len(layers))
        _refit_layer(original, model, layer, cuts[layer.weight], samples, seed)
    on_progress(len(layers), len(layers))
    return model


def _affected(graph: Graph, before: Graph) -> set[str]:
    """Weights of the layers whose input is not what it was: something before them was cut."""
    changed: set[str] = set()
    weights: set[str] = set()
    for node in graph.nodes:
        sliced = [
            name
            for name in node.input
            if name in graph.weights and graph.shapes[name] != before.shapes.get(name)
        ]
        if changed.intersection(node.input):
            weights.update(node.input)
        if sliced or changed.intersection(node.input):
            changed.update(node.output)
    return weights


def _refit_layer(
    original: ModelProto,
    model: ModelProto,
    layer: DenseLayer,
    cut: Cut,
    samples: Iterable[Feeds],
    seed: int,
) -> None:
    graph = Graph(model)
    weight = graph.weights[layer.weight]
    start = layer.matrix(weight)
    moments = Moments(start.shape[1], start.shape[0])
    total, other = _residual(graph, layer)
    teacher = Session(up_to(original, [total or layer.y]))
    student = Session(up_to(model, list(dict.fromkeys(filter(None, (layer.x, other))))))
    for index, feeds in enumerate(samples):
        (y,) = teacher.run(feeds)
        x, *rest = student.run(feeds)
        if other == layer.x:
            rest = [x]
        at = sampled_positions(position_count(layer, x, y), index, seed)
        target = responses(layer, y, _full_weight(original, layer), at)[:, cut.outputs]
        if rest:
            target = target - responses(layer, rest[0], weight, at)
        moments.add(patches(layer.node, x, weight, at), target)
    matrix, bias = solve(moments, start, has_bias=bool(layer.bias))
    _store(model, layer.weight, layer.weight_like(matrix, weight))
    if layer.bias:
        _store(model, layer.bias, _as_bias(layer, bias, graph.weights[layer.bias]))


def _full_weight(original: ModelProto, layer: DenseLayer) -> Array:
    tensor = next(t for t in original.graph.initializer if t.name == layer.weight)
    return np.asarray(numpy_helper.to_array(tensor))


def _residual(graph: Graph, layer: DenseLayer) -> tuple[str, str]:
    """Output of the Add that the layer feeds and the Add's other input, when there is one."""
    readers = graph.consumers.get(layer.y, [])
    if layer.node.op_type != "Conv" or len(readers) != 1 or readers[0].op_type != "Add":
        return "", ""
    add = readers[0]
    other = next((name for name in add.input if name != layer.y), "")
    known = [node.output[0] for node in graph.nodes[: graph.nodes.index(layer.node)]]
    same = graph.shapes.get(other) == graph.shapes.get(layer.y)
    return (add.output[0], other) if other in known and same else ("", "")


def _as_bias(layer: DenseLayer, bias: Float, like: Array) -> Array:
    if layer.node.op_type == "ConvTranspose":  # one bias serves all taps of an output channel
        bias = bias.reshape(like.size, -1).mean(axis=1)
    return np.ascontiguousarray(bias.reshape(like.shape), dtype=like.dtype)


def _store(model: ModelProto, name: str, value: Array) -> None:
    tensor = next(t for t in model.graph.initializer if t.name == name)
    tensor.CopyFrom(numpy_helper.from_array(value, name))
