"""Which groups may be cut: globs over the names of groups, and of the layers that take part."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from ..core.errors import OptionError
from ..core.graph import Graph
from .groups import Group, makers_of

_SHOWN = 3


def selected(
    graph: Graph, groups: Sequence[Group], keep: Sequence[str], only: Sequence[str]
) -> list[Group]:
    """The groups that ``only`` names (all when it is empty), less those that ``keep`` names.

    A glob names a group by its own name, or by a layer (its node or its weight) that makes its
    channels. Raises OptionError for a glob that names nothing.
    """
    names = {group.name: names_of(graph, group) for group in groups}
    for glob in (*keep, *only):
        if not any(matches(glob, known) for known in names.values()):
            raise OptionError(
                f"{glob!r} names no group of channels that could be cut",
                f"there are for example: {', '.join(list(names)[:_SHOWN])}",
            )
    return [
        group
        for group in groups
        if (not only or any(matches(glob, names[group.name]) for glob in only))
        and not any(matches(glob, names[group.name]) for glob in keep)
    ]


def names_of(graph: Graph, group: Group) -> set[str]:
    """The group's own name, and the nodes and weights of the layers that make its channels."""
    found = {group.name}
    for name, axis in group.places:
        if makers := makers_of(graph, name, axis):
            found |= {name, *(node.name for node in makers if node.name)}
    return found


def matches(glob: str, names: set[str]) -> bool:
    """Whether a glob fits one of the names."""
    return any(fnmatchcase(name, glob) for name in names)
