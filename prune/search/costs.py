"""Cost of the model when some channels are gone, without building it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from math import prod

import numpy as np
from onnx import NodeProto

from ...core.graphs.graph import Graph, attributes
from ...core.graphs.layers import LayerShape, layer_of, pooling_of
from ..channels.dependency_graph import Dependency
from ..channels.union_find import Axis
from .width_candidates import Candidate

Cost = Callable[[LayerShape], float]
Widths = Mapping[str, int]


@dataclass(frozen=True)
class _Length:
    """An axis: its length, and for each group how much it loses with 0, 1, 2 ... channels gone."""

    full: int
    lost: dict[str, list[int]]

    def left(self, gone: Mapping[str, int]) -> int:
        return self.full - sum(
            table[gone[name]] for name, table in self.lost.items() if name in gone
        )


@dataclass(frozen=True, eq=False)  # each is one of its own, to look costs up by
class _Sized:
    layer: LayerShape
    lengths: tuple[_Length, ...]  # inputs, outputs, and the rows of a matrix product
    blocks: _Length  # the blocks that it is in: gone with any of them

    @property
    def groups(self) -> set[str]:
        return {name for length in (*self.lengths, self.blocks) for name in length.lost}

    def left(self, gone: Mapping[str, int]) -> tuple[int, ...] | None:
        """What is left of its lengths; None when the layer is gone."""
        if self.blocks.left(gone) < self.blocks.full:
            return None
        return tuple(length.left(gone) for length in self.lengths)


class CostModel:
    """The sum over all layers of ``cost``, for any widths of the groups.

    A layer's cost is worked out once for each of its shapes, and a change looks only at the layers
    that it touches, so that a search may try thousands.
    """

    def __init__(self, dependency: Dependency, candidates: Sequence[Candidate], cost: Cost) -> None:
        self._cost = lru_cache(maxsize=None)(partial(_cost_of, cost))
        self._sizes = {one.group.name: one.group.size for one in candidates}
        tables = {one.group.name: one.group.roots[one.order] for one in candidates}
        self._layers = [
            _Sized(
                layer,
                tuple(_length(axis, tables) for axis in _axes(dependency, node, layer)),
                _length(_blocks(dependency, node), tables),
            )
            for node in dependency.graph.nodes
            if (layer := _layer(dependency.graph, node)) is not None
        ]
        self._touched = {
            name: [layer for layer in self._layers if name in layer.groups] for name in self._sizes
        }

    def shapes(self, widths: Widths) -> list[LayerShape]:
        """The layers that are left when the named groups keep so many channels."""
        gone = self._gone(widths)
        sizes = ((layer, layer.left(gone)) for layer in self._layers)
        return [shrunk(layer.layer, *left) for layer, left in sizes if left is not None]

    def of(self, widths: Widths) -> float:
        """Total cost when the named groups keep so many channels."""
        gone = self._gone(widths)
        return sum(self._cost(layer, layer.left(gone)) for layer in self._layers)

    def change(self, widths: Widths, name: str, kept: int) -> float:
        """What is saved when one group is cut further."""
        before, after = self._gone(widths), self._gone({**widths, name: kept})
        return sum(
            self._cost(layer, layer.left(before)) - self._cost(layer, layer.left(after))
            for layer in self._touched[name]
        )

    def sharing_with(self, name: str) -> set[str]:
        """The groups, this one among them, whose savings depend on how far this one is cut."""
        return {name}.union(*(layer.groups for layer in self._touched[name]))

    def _gone(self, widths: Widths) -> dict[str, int]:
        return {name: self._sizes[name] - kept for name, kept in widths.items()}


def _cost_of(cost: Cost, layer: _Sized, left: tuple[int, ...] | None) -> float:
    return 0.0 if left is None else cost(shrunk(layer.layer, *left))


def _layer(graph: Graph, node: NodeProto) -> LayerShape | None:
    return layer_of(graph, node) or pooling_of(graph, node)


def _axes(dependency: Dependency, node: NodeProto, layer: LayerShape) -> list[Axis]:
    """Roots along a layer's inputs, its outputs, and the rows of a matrix product."""
    x = [dependency.atoms.roots(axis) for axis in dependency.axes[node.input[0]]]
    y = [dependency.atoms.roots(axis) for axis in dependency.axes[node.output[0]]]
    if layer.op in ("gemm", "matmul"):
        return [x[0 if attributes(node).get("transA") else -1], y[-1], *y[:-1]]
    return [x[1], y[1]]


def _blocks(dependency: Dependency, node: NodeProto) -> Axis:
    """The roots of the blocks that a node is in."""
    inside = [
        root for root, block in dependency.blocks.items() if block.gone.intersection(node.output)
    ]
    return np.array(inside, dtype=np.int64)


def _length(axis: Axis, tables: Mapping[str, Axis]) -> _Length:
    found, counts = np.unique(axis, return_counts=True)
    times = dict(zip(found.tolist(), counts.tolist(), strict=True))
    lost = {}
    for name, roots in tables.items():
        each = [times.get(root, 0) for root in roots.tolist()]
        if any(each):
            lost[name] = np.cumsum([0, *each]).tolist()
    return _Length(axis.size, lost)


def shrunk(layer: LayerShape, cin: int, cout: int, *rows: int) -> LayerShape:
    """A layer with other numbers of channels, and of rows for a matrix product."""
    if layer.op in ("gemm", "matmul"):
        count = prod(rows)
        return replace(layer, cin=cin, cout=cout, in_h=count, out_h=count)
    groups = cin if layer.groups == layer.cin else layer.groups
    return replace(layer, cin=cin, cout=cout, groups=groups)
