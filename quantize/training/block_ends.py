"""Where a network is as narrow as one tensor: what comes after depends on that alone."""

from __future__ import annotations

from ...core.graphs.graph import Graph, read_by

_MOST = 16


def block_ends(graph: Graph) -> list[str]:
    """Return inner tensors that all after them depends on alone, of many some evenly apart."""
    last: dict[str, int] = {name: len(graph.nodes) for name in graph.output_names}
    for index, node in enumerate(graph.nodes):
        for name in read_by(node):
            last[name] = max(last.get(name, 0), index)
    alive = {name for name in graph.input_names if name in last}
    ends: list[str] = []
    for index, node in enumerate(graph.nodes):
        alive = {name for name in (*alive, *node.output) if last.get(name, -1) > index}
        if len(alive) == 1 and _is_inner(graph, *alive):
            ends.extend(alive)
    ends = list(dict.fromkeys(ends))
    every = -(-len(ends) // _MOST) or 1
    return ends[every - 1 :: every]


def _is_inner(graph: Graph, name: str) -> bool:
    return name in graph.producers and name not in graph.output_names
