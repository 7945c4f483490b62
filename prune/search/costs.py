"""Cost of the model when some channels are removed, without building it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from math import prod

import numpy as np
from onnx import ModelProto, NodeProto

from ...core.graphs.graph import Graph, attributes
from ...core.graphs.layers import LayerShape, layer_of, pooling_of
from ..channels.dependency_graph import AtomAxis, DependencyGraph
from .width_candidates import Candidate

Cost = Callable[[LayerShape], float]
# group name -> channels kept; the others keep all
Widths = Mapping[str, int]


@dataclass(frozen=True)
class CostFunction:
    """The cost of a layer, and the number ``step`` of channels at which it changes.

    Where the layers are not all that costs, ``of_model`` is the cost of a whole model.
    """

    of_layer: Cost
    step: int = 32
    of_model: Callable[[ModelProto], float] | None = None


@dataclass(frozen=True)
class _AxisLength:
    """The length of an axis, and for each group what it loses with 0, 1, 2 ... channels removed."""

    full: int
    lost: dict[str, list[int]]

    def remaining(self, removed: Mapping[str, int]) -> int:
        """Return the length when so many channels of the groups are removed."""
        return self.full - sum(
            table[removed[name]] for name, table in self.lost.items() if name in removed
        )


@dataclass(frozen=True, eq=False)  # each is one of its own, to look costs up by
class _CutLayer:
    """A layer with the lengths of its inputs, its outputs and the rows of a matrix product.

    ``blocks`` are those that it is in: it is removed with any of them.
    """

    layer: LayerShape
    lengths: tuple[_AxisLength, ...]
    blocks: _AxisLength

    @property
    def groups(self) -> set[str]:
        """Return the names of the groups that its lengths depend on."""
        return {name for length in (*self.lengths, self.blocks) for name in length.lost}

    def remaining(self, removed: Mapping[str, int]) -> tuple[int, ...] | None:
        """Return its lengths when so many channels are removed; None when the layer is removed."""
        if self.blocks.remaining(removed) < self.blocks.full:
            return None
        return tuple(length.remaining(removed) for length in self.lengths)


class CostModel:
    """The sum of ``cost`` over all layers, for any widths of the groups.

    A layer's cost is worked out once for each of its shapes, and a change looks only at the layers
    that it touches, so that a search may try thousands.
    """

    def __init__(
        self, dependency: DependencyGraph, candidates: Sequence[Candidate], cost: Cost
    ) -> None:
        self._cost = lru_cache(maxsize=None)(partial(_cost_of, cost))
        self._sizes = {candidate.group.name: candidate.group.size for candidate in candidates}
        orders = {
            candidate.group.name: candidate.group.roots[candidate.order] for candidate in candidates
        }
        self._layers = [
            _CutLayer(
                layer,
                tuple(_axis_length(axis, orders) for axis in _axes(dependency, node, layer)),
                _axis_length(_blocks(dependency, node), orders),
            )
            for node in dependency.graph.nodes
            if (layer := _layer(dependency.graph, node)) is not None
        ]
        self._touched = {
            name: [layer for layer in self._layers if name in layer.groups] for name in self._sizes
        }

    def shapes(self, widths: Widths) -> list[LayerShape]:
        """Return the layers that are left when the groups have these widths."""
        removed = self._removed(widths)
        sizes = ((layer, layer.remaining(removed)) for layer in self._layers)
        return [resized(layer.layer, *size) for layer, size in sizes if size is not None]

    def total(self, widths: Widths) -> float:
        """Return the cost of the model when the groups have these widths."""
        removed = self._removed(widths)
        return sum(self._cost(layer, layer.remaining(removed)) for layer in self._layers)

    def saving(self, widths: Widths, name: str, width: int) -> float:
        """Return the cost that is saved when one group is cut further, to ``width``."""
        before, after = self._removed(widths), self._removed({**widths, name: width})
        return sum(
            self._cost(layer, layer.remaining(before)) - self._cost(layer, layer.remaining(after))
            for layer in self._touched[name]
        )

    def sharing_with(self, name: str) -> set[str]:
        """Return the groups, this one among them, whose savings depend on the width of this one."""
        return {name}.union(*(layer.groups for layer in self._touched[name]))

    def _removed(self, widths: Widths) -> dict[str, int]:
        return {name: self._sizes[name] - width for name, width in widths.items()}


def layers_cost(graph: Graph, cost: Cost) -> float:
    """Return the sum of ``cost`` over the layers of a whole model."""
    layers = (_layer(graph, node) for node in graph.nodes)
    return sum(cost(layer) for layer in layers if layer is not None)


def _cost_of(cost: Cost, layer: _CutLayer, size: tuple[int, ...] | None) -> float:
    return 0.0 if size is None else cost(resized(layer.layer, *size))


def _layer(graph: Graph, node: NodeProto) -> LayerShape | None:
    return layer_of(graph, node) or pooling_of(graph, node)


def _axes(dependency: DependencyGraph, node: NodeProto, layer: LayerShape) -> list[AtomAxis]:
    """Return the roots along a layer's inputs, its outputs, and the rows of a matrix product."""
    x = [dependency.atoms.find(axis) for axis in dependency.axes[node.input[0]]]
    y = [dependency.atoms.find(axis) for axis in dependency.axes[node.output[0]]]
    if layer.op in ("gemm", "matmul"):
        return [x[0 if attributes(node).get("transA") else -1], y[-1], *y[:-1]]
    return [x[1], y[1]]


def _blocks(dependency: DependencyGraph, node: NodeProto) -> AtomAxis:
    """Return the roots of the blocks that a node is in."""
    inside = [
        root for root, block in dependency.blocks.items() if block.inner.intersection(node.output)
    ]
    return np.array(inside, dtype=np.int64)


def _axis_length(axis: AtomAxis, orders: Mapping[str, AtomAxis]) -> _AxisLength:
    present, counts = np.unique(axis, return_counts=True)
    times = dict(zip(present.tolist(), counts.tolist(), strict=True))
    lost = {}
    for name, roots in orders.items():
        per_channel = [times.get(root, 0) for root in roots.tolist()]
        if any(per_channel):
            lost[name] = np.cumsum([0, *per_channel]).tolist()
    return _AxisLength(axis.size, lost)


def resized(layer: LayerShape, cin: int, cout: int, *rows: int) -> LayerShape:
    """Return a layer with other numbers of channels, and of rows for a matrix product."""
    if layer.op in ("gemm", "matmul"):
        count = prod(rows)
        return replace(layer, cin=cin, cout=cout, in_h=count, out_h=count)
    groups = cin if layer.groups == layer.cin else layer.groups
    return replace(layer, cin=cin, cout=cout, groups=groups)
