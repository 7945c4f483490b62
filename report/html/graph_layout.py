"""Where the nodes of a graph are drawn: in layers, after Sugiyama, Tagawa and Toda (1981).

A node stands one layer below the last of those that it reads; an edge over several layers bends in
each. Barycentres of the neighbours order each layer, and give places along it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

_SWEEPS = 4
_BENDS_PER_NODE = 4  # more than these, and the longest edges go straight
_BEND = 0.3  # the room of a bend beside that of a node
_STRAIGHT = 1000.0  # how much more a node holds on to its line than a bend does


@dataclass(frozen=True)
class GraphLayout:
    """Places along their layers (the unit is a node's room), the layers, and edges with bends.

    An edge has the node that is read, the one that reads it, and where it passes the layers in
    between.
    """

    places: tuple[float, ...]
    layers: tuple[int, ...]
    edges: tuple[tuple[int, int, tuple[float, ...]], ...]


def layered(inputs: Sequence[Sequence[int]]) -> GraphLayout:
    """Return where nodes are drawn; each reads the nodes at the places ``inputs``, before it.

    >>> layered([[], [0], [0], [1, 2]]).layers
    (0, 1, 1, 2)
    """
    layers = _layers(inputs)
    net = _Net([[] for _ in range(max(layers, default=-1) + 1)])
    for layer in layers:
        net.add(layer)
    edges = [(read, reader) for reader, reads in enumerate(inputs) for read in reads]
    edges.sort(key=lambda edge: layers[edge[1]] - layers[edge[0]])
    left = _BENDS_PER_NODE * len(inputs)
    bends: dict[tuple[int, int], list[int]] = {}
    for read, reader in edges:
        between = range(layers[read] + 1, layers[reader])
        left -= len(between)
        bends[read, reader] = [net.add(layer) for layer in between] if left >= 0 else []
        if left >= 0 or not between:
            net.join([read, *bends[read, reader], reader])
    net.order()
    places = net.places(len(inputs))
    routes = (
        (read, reader, tuple(places[bend] for bend in bends[read, reader]))
        for read, reader in sorted(edges)
    )
    return GraphLayout(tuple(places[: len(inputs)]), tuple(layers), tuple(routes))


def _layers(inputs: Sequence[Sequence[int]]) -> list[int]:
    """Return the longest way from a node that reads nothing, which stands just above its reader."""
    layers: list[int] = []
    for reads in inputs:
        layers.append(max((layers[read] + 1 for read in reads), default=0))
    first: dict[int, int] = {}
    for reader, reads in enumerate(inputs):
        for read in reads:
            first[read] = min(first.get(read, layers[reader]), layers[reader])
    for node, reads in enumerate(inputs):
        if not reads and node in first:
            layers[node] = first[node] - 1
    return layers


@dataclass
class _Net:
    """Nodes and bends by their layers, each joined only to those in the layers beside it."""

    rows: list[list[int]]
    above: list[list[int]] = field(default_factory=list)
    below: list[list[int]] = field(default_factory=list)

    def add(self, layer: int) -> int:
        self.above.append([])
        self.below.append([])
        self.rows[layer].append(len(self.above) - 1)
        return len(self.above) - 1

    def join(self, way: Sequence[int]) -> None:
        for upper, lower in pairwise(way):
            self.below[upper].append(lower)
            self.above[lower].append(upper)

    def order(self) -> None:
        """Sort each layer by the barycentres of its neighbours above, then of those below."""
        place = [0.0] * len(self.above)
        for row in self.rows:
            _number(row, place)
        for sweep in range(2 * _SWEEPS):
            upward = sweep % 2 == 1
            beside = self.below if upward else self.above
            for row in reversed(self.rows) if upward else self.rows:
                keys = {node: _mean(beside[node], place, place[node]) for node in row}
                row.sort(key=keys.__getitem__)
                _number(row, place)

    def places(self, nodes: int) -> list[float]:
        """Return places that keep the order and lie close to the neighbours' mean."""
        place = [0.0] * len(self.above)
        for row in self.rows:
            for number, node in enumerate(row):
                place[node] = number - len(row) / 2
        for sweep in range(2 * _SWEEPS + 1):
            beside = self.below if sweep % 2 else self.above
            for row in reversed(self.rows) if sweep % 2 else self.rows:
                is_bend = [node >= nodes for node in row]
                wishes = [self._wish(node, beside[node], place, nodes) for node in row]
                for node, at in zip(row, _spread(wishes, is_bend), strict=True):
                    place[node] = at
        return place

    def _wish(self, node: int, beside: Sequence[int], place: Sequence[float], nodes: int) -> float:
        """Return the neighbours' mean; of a node's, other nodes count for more."""
        near = [other for other in beside if other < nodes] if node < nodes else []
        return _mean(near or beside, place, place[node])


def _number(row: Sequence[int], place: list[float]) -> None:
    for number, node in enumerate(row):
        place[node] = number


def _mean(nodes: Sequence[int], place: Sequence[float], otherwise: float) -> float:
    return sum(place[node] for node in nodes) / len(nodes) if nodes else otherwise


def _spread(wishes: Sequence[float], is_bend: Sequence[bool]) -> list[float]:
    """Return the places nearest to the wishes, by least squares, that keep order and room.

    Less the room of all before, places must not fall: neighbours of which they would are pooled
    until they do not, which is isotonic regression.
    """
    offsets, at = [], 0.0
    for index, bend in enumerate(is_bend):
        if index:
            at += (_BEND if bend else 1.0) / 2 + (_BEND if is_bend[index - 1] else 1.0) / 2
        offsets.append(at)
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for wish, offset, bend in zip(wishes, offsets, is_bend, strict=True):
        mean, weight, many = wish - offset, 1.0 if bend else _STRAIGHT, 1
        while pools and pools[-1][0] > mean:
            before, heavy, more = pools.pop()
            mean = (mean * weight + before * heavy) / (weight + heavy)
            weight, many = weight + heavy, many + more
        pools.append((mean, weight, many))
    pooled = [mean for mean, _, many in pools for _ in range(many)]
    return [mean + offset for mean, offset in zip(pooled, offsets, strict=True)]
