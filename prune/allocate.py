"""Which group gives up how many channels: the least output error for the cost saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod

from onnx import NodeProto

from ..core.errors import OptionError
from ..core.graph import Array, attributes
from ..core.layers import LayerShape, layer_of
from .atoms import Axis
from .candidates import Candidate
from .dependency import Dependency

# a move that saves nothing by itself may open the way to one that does; it must not be free
_EPSILON = 1e-9

Cost = Callable[[Sequence[LayerShape]], float]
Widths = dict[str, int]


class CostModel:
    """Cost of the model when some channels are gone, without building it."""

    def __init__(self, dependency: Dependency, cost: Cost) -> None:
        self._dependency = dependency
        self._cost = cost
        self._layers = [
            (layer, *_axes(dependency, node, layer))
            for node in dependency.graph.nodes
            if (layer := layer_of(dependency.graph, node)) is not None
        ]

    def shapes(self, removed: Array) -> list[LayerShape]:
        """The layers as they would be; ``removed`` is a mask over roots."""
        return [
            _shrunk(layer, *(_left(axis, removed) for axis in (into, out, *rows)))
            for layer, into, out, rows in self._layers
        ]

    def of(self, removed: Array) -> float:
        """Total cost of the layers as they would be."""
        return self._cost(self.shapes(removed))

    def of_widths(self, candidates: Mapping[str, Candidate], widths: Widths) -> float:
        """Total cost when the named groups keep so many channels."""
        return self.of(removed_mask(self._dependency, candidates, widths))


def _axes(
    dependency: Dependency, node: NodeProto, layer: LayerShape
) -> tuple[Axis, Axis, list[Axis]]:
    """Roots along a layer's inputs, its outputs, and the rows of a matrix product."""
    x = [dependency.atoms.roots(axis) for axis in dependency.axes[node.input[0]]]
    y = [dependency.atoms.roots(axis) for axis in dependency.axes[node.output[0]]]
    if layer.op in ("gemm", "matmul"):
        return x[0 if attributes(node).get("transA") else -1], y[-1], y[:-1]
    return x[1], y[1], []


def _left(roots: Axis, removed: Array) -> int:
    return int((~removed[roots]).sum())


def _shrunk(layer: LayerShape, cin: int, cout: int, *rows: int) -> LayerShape:
    if layer.op in ("gemm", "matmul"):
        count = prod(rows)
        return replace(layer, cin=cin, cout=cout, in_h=count, out_h=count)
    groups = layer.groups * cin // layer.cin if layer.groups > 1 else 1
    return replace(layer, cin=cin, cout=cout, groups=groups)


def removed_mask(
    dependency: Dependency, candidates: Mapping[str, Candidate], widths: Widths
) -> Array:
    """Mask over roots with the channels that the widths leave out."""
    removed = dependency.nothing_removed()
    for name, kept in widths.items():
        candidate = candidates[name]
        removed[candidate.group.roots[candidate.removed(kept)]] = True
    return removed


def allocate(candidates: Sequence[Candidate], model: CostModel, limit: float) -> Widths:
    """Group name -> channels kept, so that the cost falls to ``limit`` or below.

    Greedy: of all moves of one group to a smaller width, take the one with the least added error
    per cost saved, until the limit holds. Errors of groups are taken to add up. Raises OptionError
    when even the narrowest widths cost more than the limit.
    """
    by_name = {candidate.group.name: candidate for candidate in candidates}
    widths: Widths = {}
    cost = model.of_widths(by_name, widths)
    while cost > limit:
        best: tuple[float, str, int, float] | None = None
        for name, kept, error in _moves(by_name, widths):
            after = model.of_widths(by_name, {**widths, name: kept})
            price = (error + _EPSILON) / max(cost - after, _EPSILON)
            if after <= cost and (best is None or price < best[0]):
                best = (price, name, kept, after)
        if best is None:
            full = model.of_widths(by_name, {})
            raise OptionError(
                f"the budget of {limit / full - 1:+.1%} is out of reach: pruning this model gives "
                f"{cost / full - 1:+.1%} at most",
                "ask for less",
            )
        _, name, kept, cost = best
        widths[name] = kept
    return widths


def _moves(candidates: Mapping[str, Candidate], widths: Widths) -> list[tuple[str, int, float]]:
    """Group, new width and added error of every possible next move."""
    moves: list[tuple[str, int, float]] = []
    for name, candidate in candidates.items():
        now = widths.get(name, candidate.group.size)
        error = candidate.errors.get(now, 0.0)
        moves.extend(
            (name, kept, max(0.0, candidate.errors[kept] - error))
            for kept in candidate.errors
            if kept < now
        )
    return moves
