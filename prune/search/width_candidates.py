"""Every group at every allowed width: the channels kept, and what that costs in output error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from ...core.graphs.dense import DenseLayer, patches, position_count, responses, tied_layers
from ...core.streaming.moments import Moments, pooled, sampled_positions
from ...core.streaming.tensor_stream import stream
from ...core.types import Array, Feeds
from ..channels.blocks import stand_in
from ..channels.dependency_graph import Dependency
from ..channels.groups import Group
from .importance import Reader, magnitudes, removal_order
from .trials import Trials
from .widths import errors_between, measured_widths

Statistics = Mapping[str, tuple[DenseLayer, Moments]]

CRITERIA = ("obs", "wanda", "magnitude")


@dataclass(frozen=True)
class Candidate:
    """A group with its channels in order of removal and the error of each allowed width.

    ``errors`` maps channels kept -> divergence of the model's output when only this group is cut;
    ``measured`` has those that were not interpolated.
    """

    group: Group
    order: Array
    errors: dict[int, float]
    measured: tuple[int, ...] = ()

    def removed(self, kept: int) -> Array:
        """Indices of the channels to drop so that ``kept`` stay."""
        dropped: Array = self.order[: self.group.size - kept]
        return dropped


def layer_moments(
    dependency: Dependency, samples: Iterable[Feeds], seed: int
) -> tuple[Statistics, Statistics]:
    """Weight name -> layer and the joint moments of its input patches and its outputs.

    Of a weight that several layers share it is the first of them, with the moments of all. The
    second is by the name of a block: the layer that can stand in for it, and the moments of its
    inputs and of what it would have to give.
    """
    graph = dependency.graph
    blocks = {block: stand_in(graph, block) for block in dependency.blocks.values()}
    aims = {found[0].y: (block, found[1]) for block, found in blocks.items() if found}
    ties = tied_layers(graph)
    layers = [layer for users in ties for layer in users]
    moments = {}
    for layer in layers:
        rows, columns = layer.matrix(graph.weights[layer.weight]).shape
        moments[layer.y] = Moments(columns, rows * (1 + (layer.y in aims)))
    names = [name for layer in layers for name in (layer.x, layer.y)]
    names += [name for block, other in aims.values() for name in (block.total, other) if name]
    seen = count()

    def add(values: Mapping[str, Array]) -> None:
        index = next(seen)
        for layer in layers:
            x, y, weight = values[layer.x], values[layer.y], graph.weights[layer.weight]
            at = sampled_positions(position_count(layer, x, y), index, seed)
            wanted = responses(layer, y, weight, at)
            if layer.y in aims:
                block, other = aims[layer.y]
                aim = values[block.total] - values[other] if other else values[block.total]
                wanted = np.hstack([wanted, responses(layer, aim, weight, at)])
            moments[layer.y].add(patches(layer.node, x, weight, at), wanted)

    stream(graph.model, names, samples, add)
    of_blocks = {}
    for y, (block, _) in aims.items():
        both = moments[y]
        half = both.targets // 2
        moments[y] = both.of_targets(0, half)
        layer = next(layer for layer in layers if layer.y == y)
        of_blocks[block.name] = (layer, both.of_targets(half, 2 * half))
    return {users[0].weight: (users[0], _joined(users, moments)) for users in ties}, of_blocks


def _joined(users: Sequence[DenseLayer], moments: Mapping[str, Moments]) -> Moments:
    parts = [moments[layer.y] for layer in users]
    return parts[0] if len(parts) == 1 else pooled(parts, centred=bool(users[0].bias))


def candidates_of(
    dependency: Dependency,
    groups: Sequence[Group],
    statistics: Statistics,
    trials: Trials,
    *,
    step: int,
    criterion: str = "obs",
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Candidate]:
    """Order the channels of each group and measure the output's error at some allowed widths.

    Widths are multiples of ``step`` outputs of the layers that make the channels. A group that no
    refittable layer reads is left out.
    """
    found: dict[str, Candidate] = {}
    ordered = sorted(groups, key=trials.start_of)  # so that nothing runs twice before the cut
    for done, group in enumerate(ordered):
        on_progress(done, len(groups))
        own_step = max(1, round(step / group.each))
        widths = measured_widths(group.size, own_step)
        if dependency.block_of(group.roots):
            whole = np.zeros(1, dtype=np.int64)
            error = trials.error(group, whole)
            found[group.name] = Candidate(group, whole, {0: max(error, 0.0)}, (0,))
            continue
        readers = readers_of(dependency, group, statistics)
        if not widths or not readers:
            continue
        order = _order(dependency, group, readers, criterion, widths[0])
        cuts = {kept: order[: group.size - kept] for kept in widths}
        measured = {kept: trials.error(group, dropped) for kept, dropped in cuts.items()}
        errors = errors_between(group.size, own_step, measured)
        found[group.name] = Candidate(group, order, errors, tuple(widths))
    on_progress(len(groups), len(groups))
    return [found[group.name] for group in groups if group.name in found]


def readers_of(
    dependency: Dependency, group: Group, statistics: Statistics
) -> list[tuple[DenseLayer, Moments]]:
    """The refittable layers that read a group's channels."""
    places = set(group.places)
    return [
        (layer, moments)
        for weight, (layer, moments) in statistics.items()
        if (weight, layer.in_axis) in places
    ]


def _order(
    dependency: Dependency,
    group: Group,
    readers: Sequence[tuple[DenseLayer, Moments]],
    criterion: str,
    least: int,
) -> Array:
    if criterion == "magnitude":
        return np.argsort(magnitudes(dependency, group), kind="stable")
    known = [_reader(dependency, group, *one) for one in readers]
    return removal_order(known, criterion, least)


def _reader(dependency: Dependency, group: Group, layer: DenseLayer, moments: Moments) -> Reader:
    weight = dependency.graph.weights[layer.weight]
    matrix = layer.matrix(weight)
    roots = dependency.atoms.roots(dependency.axes[layer.weight][layer.in_axis])
    owner = np.repeat(roots, matrix.shape[1] // roots.size)
    columns = [np.flatnonzero(owner == root) for root in group.roots]
    return Reader(matrix, moments.covariance, columns)
