"""Which groups may be cut: globs over the names of groups, and of the layers that take part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from fnmatch import fnmatchcase

from onnx import ModelProto

from ...core.diagnostics import option
from ...core.errors import ModelError, OptionError
from ...core.graphs.dense import with_biases
from ...core.graphs.graph import Graph
from .blocks import Block
from .dependency_builder import build_dependency_graph
from .dependency_graph import Dependency
from .groups import Group, block_groups, find_groups, makers_of

_SHOWN = 3


def selected(
    dependency: Dependency, groups: Sequence[Group], keep: Sequence[str], only: Sequence[str]
) -> list[Group]:
    """The groups that ``only`` names (all when it is empty), less those that ``keep`` names.

    A glob names a group by its own name, or by a layer (its node or its weight) that makes its
    channels; a block by any layer in it, but for ``only`` all of them have to be named.
    """
    names = {group.name: names_of(dependency, group) for group in groups}
    return [
        group
        for group in groups
        if (not only or _is_meant(dependency.block_of(group.roots), group.name, names, only))
        and not any(matches(glob, names[group.name]) for glob in keep)
    ]


def all_groups(dependency: Dependency) -> list[Group]:
    """What could be cut: groups of channels, and blocks."""
    return [*find_groups(dependency), *block_groups(dependency)]


def prunable(dependency: Dependency, keep: Sequence[str], only: Sequence[str]) -> list[Group]:
    """Those that ``selected`` gives of all.

    Raises ModelError when there are none at all, OptionError for a glob that names none, or when
    the globs leave none.
    """
    groups = all_groups(dependency)
    if not groups:
        stops = ", ".join(dependency.unknown) or "its inputs and outputs"
        raise ModelError(
            f"no channels of this model can be removed: all are held by {stops}",
            "leave pruning out",
        )
    names = {group.name: names_of(dependency, group) for group in groups}
    for glob in (*keep, *only):
        if not any(matches(glob, known) for known in names.values()):
            raise OptionError(
                f"{glob!r} names no channels and no block that could be cut",
                f"there are for example: {', '.join(_examples(dependency, groups))}",
            )
    left = selected(dependency, groups, keep, only)
    if not left:
        raise OptionError(
            "what is to be kept, or the only to be cut, leaves nothing to prune",
            f"name fewer layers with {option('keep')}, or more with {option('only')}",
        )
    return left


def _examples(dependency: Dependency, groups: Sequence[Group]) -> list[str]:
    """Names of a few groups, and of a block where there is one."""
    blocks = [one.name for one in groups if dependency.block_of(one.roots)]
    others = [one.name for one in groups if one.name not in blocks]
    return [*others[:_SHOWN], *blocks[:1]]


def require_prunable(model: ModelProto, keep: Sequence[str], only: Sequence[str]) -> None:
    """Raise what ``prunable`` raises for a prepared model."""
    prunable(build_dependency_graph(Graph(with_biases(model))), keep, only)


def _is_meant(
    block: Block | None, name: str, names: Mapping[str, set[str]], only: Sequence[str]
) -> bool:
    """Whether ``only`` names a group, or a block or all layers of it."""
    if block is None or any(matches(glob, {name}) for glob in only):
        return any(matches(glob, names[name]) for glob in only)
    return all(any(matches(glob, layer) for glob in only) for layer in block.layers)


def names_of(dependency: Dependency, group: Group) -> set[str]:
    """The group's own name, and the nodes and weights of the layers that make its channels.

    Those of all its layers for a block.
    """
    if block := dependency.block_of(group.roots):
        return {group.name}.union(*block.layers)
    found = {group.name}
    for name, axis in group.places:
        if makers := makers_of(dependency.graph, name, axis):
            found |= {name, *(node.name for node in makers if node.name)}
    return found


def matches(glob: str, names: Set[str]) -> bool:
    """Whether a glob fits one of the names."""
    return any(fnmatchcase(name, glob) for name in names)
