"""Every group at every allowed width: the channels that stay, and the error of the outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from ...core.graphs.dense import DenseLayer, patches, position_count, responses, tied_layers
from ...core.progress import SILENT, Progress
from ...core.streaming.moments import Moments, pooled, sampled_positions
from ...core.streaming.tensor_stream import stream
from ...core.types import Array, Feeds
from ..channels.blocks import stand_in_layer
from ..channels.dependency_graph import DependencyGraph
from ..channels.groups import Group
from .importance import Reader, magnitudes, removal_order
from .trials import Trials

Statistics = Mapping[str, tuple[DenseLayer, Moments]]

CRITERIA = ("obs", "wanda", "magnitude")
# a width is measured by running some samples; so many of a group are, whatever its size
_MEASURED = 5
# the error of a cut grows with a power of what is cut, and not faster than this
_STEEPEST = 4.0


@dataclass(frozen=True)
class Candidate:
    """A group with its channels in order of removal and the error of each allowed width.

    ``errors`` maps width -> divergence of the model's outputs when only this group is cut to it;
    ``measured`` has the widths that were not interpolated.
    """

    group: Group
    order: Array
    errors: dict[int, float]
    measured: tuple[int, ...] = ()

    def removed(self, width: int) -> Array:
        """Return the indices of the channels to remove so that ``width`` of them stay."""
        indices: Array = self.order[: self.group.size - width]
        return indices


def layer_moments(
    dependency: DependencyGraph, samples: Iterable[Feeds], seed: int
) -> tuple[Statistics, Statistics]:
    """Return the layers with the joint moments of their input patches and outputs, by weight.

    Of a weight that several layers share it is the first of them, with the moments of all. The
    second mapping is by the name of a block: the layer that can stand in for it, and the joint
    moments of its inputs and of the results that it would have to give.
    """
    graph = dependency.graph
    layers_of = ((block, stand_in_layer(graph, block)) for block in dependency.blocks.values())
    stand_ins = {pair[0].y: (block, pair[1]) for block, pair in layers_of if pair}
    ties = tied_layers(graph)
    layers = [layer for users in ties for layer in users]
    moments = {}
    for layer in layers:
        rows, columns = layer.matrix(graph.weights[layer.weight]).shape
        moments[layer.y] = Moments(columns, rows * (1 + (layer.y in stand_ins)))
    names = [name for layer in layers for name in (layer.x, layer.y)]
    names += [name for block, other in stand_ins.values() for name in (block.total, other) if name]
    indices = count()

    def add(values: Mapping[str, Array]) -> None:
        index = next(indices)
        for layer in layers:
            x, y, weight = values[layer.x], values[layer.y], graph.weights[layer.weight]
            at = sampled_positions(position_count(layer, x, y), index, seed)
            targets = responses(layer, y, weight, at)
            if layer.y in stand_ins:
                block, other = stand_ins[layer.y]
                total = values[block.total] - values[other] if other else values[block.total]
                targets = np.hstack([targets, responses(layer, total, weight, at)])
            moments[layer.y].add(patches(layer.node, x, weight, at), targets)

    stream(graph.model, names, samples, add)
    of_blocks = {}
    for y, (block, _) in stand_ins.items():
        both = moments[y]
        half = both.targets // 2
        moments[y] = both.of_targets(0, half)
        layer = next(layer for layer in layers if layer.y == y)
        of_blocks[block.name] = (layer, both.of_targets(half, 2 * half))
    return {users[0].weight: (users[0], _pooled(users, moments)) for users in ties}, of_blocks


def _pooled(users: Sequence[DenseLayer], moments: Mapping[str, Moments]) -> Moments:
    parts = [moments[layer.y] for layer in users]
    return parts[0] if len(parts) == 1 else pooled(parts, centred=bool(users[0].bias))


def candidates_of(
    dependency: DependencyGraph,
    groups: Sequence[Group],
    statistics: Statistics,
    trials: Trials,
    *,
    step: int,
    criterion: str = "obs",
    progress: Progress = SILENT,
) -> list[Candidate]:
    """Order the channels of each group and measure the output's error at some allowed widths.

    Widths are multiples of ``step`` outputs of the layers that produce the channels. A group that
    no refittable layer reads is left out.
    """
    candidates: dict[str, Candidate] = {}
    ordered = sorted(groups, key=trials.start_of)  # so that nothing runs twice before the cut
    for done, group in enumerate(ordered):
        progress.step("measure groups", done, len(groups))
        own_step = max(1, round(step / group.outputs_per_channel))
        widths = measured_widths(group.size, own_step)
        if dependency.block_of(group.roots):
            whole = np.zeros(1, dtype=np.int64)
            error = trials.error(group, whole)
            candidates[group.name] = Candidate(group, whole, {0: max(error, 0.0)}, (0,))
            continue
        readers = readers_of(dependency, group, statistics)
        if not widths or not readers:
            continue
        order = _order(dependency, group, readers, criterion, widths[0])
        measured = {width: trials.error(group, order[: group.size - width]) for width in widths}
        errors = errors_between(group.size, own_step, measured)
        candidates[group.name] = Candidate(group, order, errors, tuple(widths))
    progress.step("measure groups", len(groups), len(groups))
    return [candidates[group.name] for group in groups if group.name in candidates]


def readers_of(
    dependency: DependencyGraph, group: Group, statistics: Statistics
) -> list[tuple[DenseLayer, Moments]]:
    """Return the refittable layers that read a group's channels, with their moments."""
    weight_axes = set(group.weight_axes)
    return [
        (layer, moments)
        for weight, (layer, moments) in statistics.items()
        if (weight, layer.in_axis) in weight_axes
    ]


def _order(
    dependency: DependencyGraph,
    group: Group,
    readers: Sequence[tuple[DenseLayer, Moments]],
    criterion: str,
    least: int,
) -> Array:
    if criterion == "magnitude":
        return np.argsort(magnitudes(dependency, group), kind="stable")
    layers = [_reader(dependency, group, layer, moments) for layer, moments in readers]
    return removal_order(layers, criterion, least)


def _reader(
    dependency: DependencyGraph, group: Group, layer: DenseLayer, moments: Moments
) -> Reader:
    weight = dependency.graph.weights[layer.weight]
    matrix = layer.matrix(weight)
    roots = dependency.atoms.find(dependency.axes[layer.weight][layer.in_axis])
    owner = np.repeat(roots, matrix.shape[1] // roots.size)
    columns = [np.flatnonzero(owner == root) for root in group.roots]
    return Reader(matrix, moments.covariance, columns)


def allowed_widths(size: int, step: int) -> list[int]:
    """Return the multiples of ``step`` below ``size``.

    >>> allowed_widths(256, 64)
    [64, 128, 192]
    >>> allowed_widths(50, 32), allowed_widths(32, 32)
    ([32], [])
    """
    return list(range(step, size, step))


def measured_widths(size: int, step: int) -> list[int]:
    """Return some of the allowed widths, denser where little is cut: most choices lie there.

    >>> measured_widths(1280, 32)
    [32, 768, 1088, 1216, 1248]
    """
    widths = allowed_widths(size, step)
    if len(widths) <= _MEASURED:
        return widths
    picks = np.geomspace(1, len(widths), _MEASURED).round().astype(int)
    return sorted({widths[-pick] for pick in picks})


def errors_between(size: int, step: int, measured: Mapping[int, float]) -> dict[int, float]:
    """Return the error of every allowed width: a power law in the cut, between those measured.

    ``measured`` maps width -> error, for the widths that ``measured_widths`` gives. An error that
    falls while more is cut is noise, and counts as no rise.

    >>> errors_between(64, 8, {8: 49.0, 40: 9.0, 48: 4.0, 56: 1.0})[24]
    25.0
    """
    points = sorted((size - width, max(error, 0.0)) for width, error in measured.items())
    cuts, errors = zip(*points, strict=True)
    rising = np.maximum.accumulate(errors)
    return {
        width: round(_between(size - width, np.array(cuts), rising), 12)
        for width in allowed_widths(size, step)
    }


def _between(cut: int, cuts: Array, errors: Array) -> float:
    at = int(np.searchsorted(cuts, cut))
    if cuts[at] == cut:
        return float(errors[at])
    low, high = errors[at - 1], errors[at]
    if low <= 0 or high <= 0:
        return float(np.interp(cut, cuts, errors))
    power = (np.log(high) - np.log(low)) / np.log(cuts[at] / cuts[at - 1])
    return float(high * (cut / cuts[at]) ** min(power, _STEEPEST))
