"""Which groups may be cut: globs over the names of groups and of the layers in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from fnmatch import fnmatchcase

from onnx import ModelProto

from ...core.diagnostics import option
from ...core.errors import ModelError, OptionError
from ...core.graphs.dense import with_biases
from ...core.graphs.graph import Graph
from .blocks import Block
from .channel_rules import build_dependency_graph
from .dependency_graph import DependencyGraph
from .groups import Group, block_groups, find_groups, producing_layers

_SHOWN = 3


def select_groups(
    dependency: DependencyGraph, groups: Sequence[Group], keep: Sequence[str], only: Sequence[str]
) -> list[Group]:
    """Return the groups that ``only`` names (all when it is empty), less those of ``keep``.

    A glob names a group by its own name, or by a layer (its node or its weight) that produces its
    channels; a block by any layer in it, but for ``only`` all of them have to be named.
    """
    names = {group.name: names_of(dependency, group) for group in groups}
    return [
        group
        for group in groups
        if (not only or _is_selected(dependency.block_of(group.roots), group.name, names, only))
        and not any(matches(glob, names[group.name]) for glob in keep)
    ]


def all_groups(dependency: DependencyGraph) -> list[Group]:
    """Return all that could be cut: groups of channels, and blocks."""
    return [*find_groups(dependency), *block_groups(dependency)]


def prunable_groups(
    dependency: DependencyGraph, keep: Sequence[str], only: Sequence[str]
) -> list[Group]:
    """Return the groups of a model that the globs ``keep`` and ``only`` select.

    Raises ModelError when the model has no groups, OptionError for a glob that names none, or when
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
        if not any(matches(glob, group) for group in names.values()):
            raise OptionError(
                f"{glob!r} names no channels and no block that could be cut",
                f"there are for example: {', '.join(_examples(dependency, groups))}",
            )
    left = select_groups(dependency, groups, keep, only)
    if not left:
        raise OptionError(
            "what is to be kept, or the only to be cut, leaves nothing to prune",
            f"name fewer layers with {option('keep')}, or more with {option('only')}",
        )
    return left


def _examples(dependency: DependencyGraph, groups: Sequence[Group]) -> list[str]:
    """Return the names of some groups, and of a block where there is one."""
    blocks = [group.name for group in groups if dependency.block_of(group.roots)]
    others = [group.name for group in groups if group.name not in blocks]
    return [*others[:_SHOWN], *blocks[:1]]


def require_prunable(model: ModelProto, keep: Sequence[str], only: Sequence[str]) -> None:
    """Raise ModelError or OptionError for a prepared model as ``prunable_groups`` does."""
    prunable_groups(build_dependency_graph(Graph(with_biases(model))), keep, only)


def _is_selected(
    block: Block | None, name: str, names: Mapping[str, set[str]], only: Sequence[str]
) -> bool:
    """Return whether ``only`` names a group, or a block or all layers of it."""
    if block is None or any(matches(glob, {name}) for glob in only):
        return any(matches(glob, names[name]) for glob in only)
    return all(any(matches(glob, layer) for glob in only) for layer in block.layers)


def names_of(dependency: DependencyGraph, group: Group) -> set[str]:
    """Return the names of a group: its own, and those of the nodes and weights of its layers.

    Its layers are those that produce its channels, and for a block all that are in it.
    """
    if block := dependency.block_of(group.roots):
        return {group.name}.union(*block.layers)
    names = {group.name}
    for name, axis in group.weight_axes:
        if layers := producing_layers(dependency.graph, name, axis):
            names |= {name, *(node.name for node in layers if node.name)}
    return names


def matches(glob: str, names: Set[str]) -> bool:
    """Return whether a glob fits one of the names."""
    return any(fnmatchcase(name, glob) for name in names)
