"""Groups of channels that can be removed one by one, each with all that depends on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from ...core.graphs.graph import Graph, free_name, output_axis
from ...core.types import Array
from .dependency_graph import Dependency
from .union_find import FROZEN, Axis

Place = tuple[str, int]


@dataclass(frozen=True)
class Group:
    """Channels that live in the same weights: ``roots[i]`` stands for channel i in all of them.

    ``places`` are the (initializer, axis) pairs from which a removed channel disappears. ``each``
    is the number of outputs that a layer making them has for each: more than one for the heads of
    an attention, and before a grouped convolution.
    """

    name: str
    roots: Axis
    places: tuple[Place, ...]
    each: int = 1

    @property
    def size(self) -> int:
        """Number of channels."""
        return int(self.roots.size)


def find_groups(dependency: Dependency) -> list[Group]:
    """All groups with at least two channels, in the order of their first weight."""
    seen: dict[int, dict[tuple[str, int, int], None]] = defaultdict(dict)
    for name in dependency.graph.weights:
        for position, axis in enumerate(dependency.axes.get(name, [])):
            roots, counts = np.unique(dependency.atoms.roots(axis), return_counts=True)
            for root, times in zip(roots.tolist(), counts.tolist(), strict=True):
                if root != FROZEN:
                    seen[root][(name, position, times)] = None
    # channels that fill unequal shares of a weight (after a Flatten, say) are no single group
    members: dict[tuple[tuple[str, int, int], ...], list[int]] = defaultdict(list)
    for root, places in seen.items():
        members[tuple(places)].append(root)
    groups: dict[str, Group] = {}
    for counted, channels in members.items():
        if len(channels) > 1:
            held = tuple((name, axis) for name, axis, _ in counted)
            name = _name(dependency.graph, held, groups)
            made = [n for weight, at, n in counted if makers_of(dependency.graph, weight, at)]
            roots = np.array(sorted(channels), dtype=np.int64)
            groups[name] = Group(name, roots, held, max(made, default=1))
    return list(groups.values())


def block_groups(dependency: Dependency) -> list[Group]:
    """Every block that can be left out whole, as a group of one: it is there, or it is not."""
    return [
        Group(block.name, np.array([root], dtype=np.int64), ())
        for root, block in dependency.blocks.items()
    ]


def mark_removed(dependency: Dependency, removed: dict[str, Array], groups: list[Group]) -> Array:
    """Mask over all roots; ``removed`` maps group name -> indices of channels to drop."""
    mask = dependency.nothing_removed()
    for group in groups:
        if group.name in removed:
            mask[group.roots[removed[group.name]]] = True
    return mask


def _name(graph: Graph, places: tuple[Place, ...], taken: Container[str]) -> str:
    """The weight that makes the channels, or else the first that holds them.

    A weight may make several groups, when a Split parts its outputs: the second is ``name#2``.
    """
    makers = [name for name, axis in places if makers_of(graph, name, axis)]
    return free_name((makers or [places[0][0]])[0], taken)


def makers_of(graph: Graph, weight: str, axis: int) -> list[NodeProto]:
    """The layers whose outputs an axis of a weight counts; none for other axes and constants."""
    return [
        node
        for node in graph.consumers.get(weight, [])
        if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul")
        and node.input[1] == weight
        and axis == output_axis(node)
    ]
