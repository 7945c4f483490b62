"""Where a network is as narrow as one tensor: what comes after depends on that alone."""

from __future__ import annotations

import math
from itertools import groupby

from ...core.graphs.graph import Graph, read_by

_MOST = 24
_PASSING = ("Relu", "Clip", "LeakyRelu", "PRelu", "HardSwish", "Flatten", "Reshape")


def block_ends(graph: Graph) -> list[str]:
    """Return inner tensors that all after them depends on alone, the narrow ones among them.

    Those inside of a block that is wider than its ends are left out: they take most of the memory,
    and what counts is what the block makes of them. Of more than 24 some are taken, evenly apart.
    """
    ends = _narrow(graph, _necks(graph))
    every = -(-len(ends) // _MOST) or 1
    return ends[every - 1 :: every]


def _necks(graph: Graph) -> list[str]:
    """Return, in order, the inner tensors each of which was all that was left to be read."""
    last: dict[str, int] = {name: len(graph.nodes) for name in graph.output_names}
    for index, node in enumerate(graph.nodes):
        for name in read_by(node):
            last[name] = max(last.get(name, 0), index)
    alive = {name for name in graph.input_names if name in last}
    necks: list[str] = []
    for index, node in enumerate(graph.nodes):
        alive = {name for name in (*alive, *node.output) if last.get(name, -1) > index}
        if len(alive) == 1 and _is_inner(graph, *alive):
            necks.extend(alive)
    return [name for name in dict.fromkeys(necks) if not _is_passed_on(graph, name)]


def _is_passed_on(graph: Graph, name: str) -> bool:
    """Return whether nothing but the same values, bounded or in another shape, is made of it."""
    readers = graph.consumers.get(name, [])
    return len(readers) == 1 and all(
        reader.op_type in _PASSING and _is_inner(graph, reader.output[0]) for reader in readers
    )


def _narrow(graph: Graph, necks: list[str]) -> list[str]:
    """Return those that are smaller than the ones around, or as small as any one before."""
    runs = [(size, list(names)) for size, names in groupby(necks, lambda name: _size(graph, name))]
    sizes = [size for size, _ in runs]
    return [
        name
        for index, (size, names) in enumerate(runs)
        for name in names
        if size == min(sizes[: index + 1]) or size == min(sizes[index - 1 : index + 2])
    ]


def _size(graph: Graph, name: str) -> int:
    return math.prod(graph.shapes.get(name, ()))


def _is_inner(graph: Graph, name: str) -> bool:
    return name in graph.producers and name not in graph.output_names
