"""Groups of channels that can be removed one by one, each with all that depends on it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from ..core.graph import Array
from .atoms import FROZEN, Axis
from .dependency import Dependency

Place = tuple[str, int]


@dataclass(frozen=True)
class Group:
    """Channels that live in the same weights: ``roots[i]`` stands for channel i in all of them.

    ``places`` are the (initializer, axis) pairs from which a removed channel disappears.
    """

    name: str
    roots: Axis
    places: tuple[Place, ...]

    @property
    def size(self) -> int:
        """Number of channels."""
        return int(self.roots.size)


def find_groups(dependency: Dependency) -> list[Group]:
    """All groups with at least two channels, in the order of their first weight."""
    seen: dict[int, dict[Place, None]] = defaultdict(dict)
    for name in dependency.graph.weights:
        for position, axis in enumerate(dependency.axes.get(name, [])):
            for root in np.unique(dependency.atoms.roots(axis)).tolist():
                if root != FROZEN:
                    seen[root][(name, position)] = None
    members: dict[tuple[Place, ...], list[int]] = defaultdict(list)
    for root, places in seen.items():
        members[tuple(places)].append(root)
    return [
        Group(_name(places), np.array(sorted(roots), dtype=np.int64), places)
        for places, roots in members.items()
        if len(roots) > 1
    ]


def mark_removed(dependency: Dependency, removed: dict[str, Array], groups: list[Group]) -> Array:
    """Mask over all roots; ``removed`` maps group name -> indices of channels to drop."""
    mask = dependency.nothing_removed()
    for group in groups:
        if group.name in removed:
            mask[group.roots[removed[group.name]]] = True
    return mask


def _name(places: tuple[Place, ...]) -> str:
    """The weight that makes the channels (its axis 0), or else the first that holds them."""
    makers = [name for name, axis in places if axis == 0]
    return (makers or [places[0][0]])[0]
