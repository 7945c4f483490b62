"""Every group at every allowed width: the channels kept, and what that costs in output error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from onnx import ModelProto, numpy_helper

from ..calibration_data.moments import Float, Moments, sampled_positions
from ..calibration_data.statistics import stream
from ..core.dense import DenseLayer, dense_layers, patches, position_count, responses
from ..core.graph import Array, Graph
from ..core.session import Session
from .dependency import Dependency
from .groups import Group
from .importance import Reader, removal_order
from .repair import solve
from .surgery import remove_channels

Feeds = Mapping[str, Array]

# groups wider than this are cut to so many widths at most: each costs a pass over some samples
_WIDTHS = 7


@dataclass(frozen=True)
class Candidate:
    """A group with its channels in order of removal and the error of each allowed width.

    ``errors`` maps channels kept -> divergence of the model's output when only this group is cut.
    """

    group: Group
    order: Array
    errors: dict[int, float]

    def removed(self, kept: int) -> Array:
        """Indices of the channels to drop so that ``kept`` stay."""
        dropped: Array = self.order[: self.group.size - kept]
        return dropped


def layer_moments(
    model: ModelProto, samples: Iterable[Feeds], seed: int
) -> dict[str, tuple[DenseLayer, Moments]]:
    """Weight name -> layer and the joint moments of its input patches and its outputs."""
    graph = Graph(model)
    layers = dense_layers(graph)
    found = {}
    for layer in layers:
        rows, columns = layer.matrix(graph.weights[layer.weight]).shape
        found[layer.weight] = (layer, Moments(columns, rows))
    names = [name for layer in layers for name in (layer.x, layer.y)]
    seen = count()

    def add(values: Mapping[str, Array]) -> None:
        index = next(seen)
        for layer, moments in found.values():
            x, y, weight = values[layer.x], values[layer.y], graph.weights[layer.weight]
            at = sampled_positions(position_count(layer, x, y), index, seed)
            moments.add(patches(layer.node, x, weight, at), responses(layer, y, weight, at))

    stream(model, names, samples, add)
    return found


def candidates_of(
    dependency: Dependency,
    groups: Sequence[Group],
    statistics: Mapping[str, tuple[DenseLayer, Moments]],
    samples: Iterable[Feeds],
    *,
    step: int,
    recover: bool,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Candidate]:
    """Order the channels of each group and measure the output's error at each allowed width.

    Widths are multiples of ``step`` channels. A group that no refittable layer reads is left out.
    """
    reference = _outputs(dependency.graph.model, samples)
    found = []
    for done, group in enumerate(groups):
        on_progress(done, len(groups))
        readers = _readers(dependency, group, statistics)
        widths = allowed_widths(group.size, step)
        if not readers or not widths:
            continue
        order = removal_order([_reader(dependency, group, *one) for one in readers])
        errors = {}
        for kept in widths:
            model = _cut_alone(dependency, group, order[: group.size - kept], readers, recover)
            errors[kept] = divergence(reference, _outputs(model, samples))
        found.append(Candidate(group, order, errors))
    on_progress(len(groups), len(groups))
    return found


def allowed_widths(size: int, step: int) -> list[int]:
    """Multiples of ``step`` below ``size``, at most seven of them, evenly spread.

    >>> allowed_widths(256, 32)
    [32, 64, 96, 128, 160, 192, 224]
    >>> allowed_widths(50, 32), allowed_widths(32, 32)
    ([32], [])
    """
    widths = list(range(step, size, step))
    if len(widths) <= _WIDTHS:
        return widths
    picks = np.linspace(0, len(widths) - 1, _WIDTHS).round().astype(int)
    return [widths[pick] for pick in picks]


def divergence(reference: Sequence[Array], outputs: Sequence[Array]) -> float:
    """How far outputs are from a reference: KL for class scores, else error over variance.

    Each argument is one stacked array (samples, ...) per model output.

    >>> logits = np.array([[2.0, 0.0]])
    >>> divergence([logits], [logits])
    0.0
    """
    return float(np.sum([_one_divergence(a, b) for a, b in zip(reference, outputs, strict=True)]))


def _one_divergence(reference: Array, output: Array) -> float:
    reference, output = reference.astype(np.float64), output.astype(np.float64)
    if reference.ndim == 2 and reference.shape[1] > 1:
        p, q = _log_probabilities(reference), _log_probabilities(output)
        return max(0.0, float((np.exp(p) * (p - q)).sum(axis=1).mean()))
    error = np.mean((reference - output) ** 2)
    return float(error / (np.var(reference) + 1e-12))


def _log_probabilities(scores: Array) -> Float:
    """Logits or probabilities -> log probabilities."""
    if (scores >= 0).all() and np.allclose(scores.sum(axis=1), 1.0, atol=1e-3):
        return np.asarray(np.log(np.maximum(scores, 1e-7)), dtype=np.float64)
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return np.asarray(shifted - log_sum, dtype=np.float64)


def _outputs(model: ModelProto, samples: Iterable[Feeds]) -> list[Array]:
    session = Session(model)
    results = [session.run(feeds) for feeds in samples]
    return [np.concatenate(parts) for parts in zip(*results, strict=True)]


def _readers(
    dependency: Dependency,
    group: Group,
    statistics: Mapping[str, tuple[DenseLayer, Moments]],
) -> list[tuple[DenseLayer, Moments]]:
    places = set(group.places)
    return [
        (layer, moments)
        for weight, (layer, moments) in statistics.items()
        if (weight, layer.in_axis) in places
    ]


def _reader(dependency: Dependency, group: Group, layer: DenseLayer, moments: Moments) -> Reader:
    weight = dependency.graph.weights[layer.weight]
    matrix = layer.matrix(weight)
    roots = dependency.atoms.roots(dependency.axes[layer.weight][layer.in_axis])
    owner = np.repeat(roots, matrix.shape[1] // roots.size)
    columns = [np.flatnonzero(owner == root) for root in group.roots]
    return Reader(matrix, moments.covariance, columns)


def _cut_alone(
    dependency: Dependency,
    group: Group,
    dropped: Array,
    readers: Sequence[tuple[DenseLayer, Moments]],
    recover: bool,
) -> ModelProto:
    """The model with only this group cut and, if wanted, its readers refitted in one shot."""
    removed = dependency.nothing_removed()
    removed[group.roots[dropped]] = True
    model = ModelProto()
    model.CopyFrom(dependency.graph.model)
    if recover:
        for layer, moments in readers:
            _refit_in_place(model, dependency, layer, moments, removed)
    return remove_channels(dependency, removed, model)


def _refit_in_place(
    model: ModelProto,
    dependency: Dependency,
    layer: DenseLayer,
    moments: Moments,
    removed: Array,
) -> None:
    weight = dependency.graph.weights[layer.weight]
    kept = layer.columns(
        dependency.kept(dependency.axes[layer.weight][layer.in_axis], removed), weight
    )
    matrix = layer.matrix(weight)
    part, bias = solve(moments.part(kept), matrix[:, kept], has_bias=bool(layer.bias))
    matrix[:, kept] = part
    values = {layer.weight: layer.weight_like(matrix, weight)}
    if layer.bias and layer.node.op_type != "ConvTranspose":
        like = dependency.graph.weights[layer.bias]
        values[layer.bias] = bias.reshape(like.shape).astype(like.dtype)
    for tensor in model.graph.initializer:
        if tensor.name in values:
            tensor.CopyFrom(numpy_helper.from_array(values[tensor.name], tensor.name))
