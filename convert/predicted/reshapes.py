"""What only moves values: nothing where they stay in place, else a Reshape or a Transpose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod

from ...core.graphs.graph import Graph
from ...core.types import Shape
from ..chips.compiler_log import Layer
from ..chips.targets import Target
from .fused_operator import FusedOperator
from .fusions import RESHAPING
from .predicted_rows import RowMaker
from .stored_shapes import stored_shape, wanted_axis

_BLOCK = 16  # channels that some chips can only move together
_PLANE = 16  # bytes that a plane must be a multiple of, for an output's Reshape to be on the NPU


class Reshapes:
    """The rows of operators that change shapes alone, and of the orders that others need.

    ``same`` maps the tensors that are stored as another one.
    """

    def __init__(
        self,
        graph: Graph,
        operators: Sequence[FusedOperator],
        same: Mapping[str, str],
        maker: RowMaker,
    ) -> None:
        self._graph, self._same, self._maker = graph, same, maker
        moves = [each for each in operators if each.op in RESHAPING and each.reads]
        self._sources = {each.writes[0]: each.reads[0] for each in moves}
        self._readers: dict[str, list[str]] = {}
        for each in operators:
            for name in each.reads:
                self._readers.setdefault(name, []).append(each.writes[0])
        self._turned: set[tuple[str, int]] = set()

    def is_move(self, operator: FusedOperator) -> bool:
        """Return whether an operator only changes the shape or the order of what it reads."""
        return operator.writes[0] in self._sources

    def rows(self, operator: FusedOperator, dtype: str) -> Iterator[Layer]:
        """Yield the row of a chain of such operators, at its end; none where it changes nothing."""
        name = operator.writes[0]
        readers = self._readers.get(name, [])
        outputs = {self._same.get(output, output) for output in self._graph.output_names}
        if name in outputs or (len(readers) == 1 and readers[0] in self._sources):
            return  # the last of them tells, or what is before an output
        x, y = self._maker.stored(self._start(name)), self._maker.stored(name)
        if x[:2] != y[:2]:
            yield self._row("Reshape", dtype, x, y, name)

    def of_input(self, name: str, dtype: str) -> Iterator[Layer]:
        """Yield the Reshape to four axes of an input that has fewer."""
        shape = self._graph.shapes.get(name, ())
        if 1 < len(shape) < 4 and min(shape) != max(shape):
            yield self._row("Reshape", dtype, shape, self._maker.stored(name), name)

    def before(self, operator: FusedOperator, name: str, dtype: str) -> Iterator[Layer]:
        """Yield the order that a layer needs of what it reads, where that is stored in another."""
        node = operator.first
        given = next((each for each in node.input if self._same.get(each, each) == name), None)
        wanted = None if given is None else wanted_axis(self._graph, node, given)
        axis = self._maker.axes.get(given or "")
        if given is None or wanted is None or axis is None or axis == wanted:
            return
        shape = self._graph.shapes[given]
        moves = prod(shape) > max(shape) and not operator.op.startswith("ex")
        if moves and (name, wanted) not in self._turned:
            self._turned.add((name, wanted))
            shapes = stored_shape(shape, axis), stored_shape(shape, wanted)
            yield self._row("Transpose", dtype, *shapes, name)

    def before_output(self, name: str, dtype: str) -> Iterator[Layer]:
        """Yield what brings an output of the model into the order and shape that it has there."""
        stored = self._same.get(name, name)
        shape, axis = self._graph.shapes.get(name, ()), self._maker.axes.get(name, 1)
        x = self._maker.stored(self._start(stored))
        y = stored_shape(shape, min(1, max(len(shape) - 1, 0)))
        if axis > 1 and prod(shape) > max(shape):
            yield self._row("Transpose", dtype, x, y, name)
            x = y
        if len(shape) != 4 or stored in self._sources:
            yield self._row("Reshape", dtype, x, shape, name)

    def _row(self, op: str, dtype: str, x: Shape, y: Shape, name: str) -> Layer:
        place = "CPU" if _leaves_npu(op, dtype, x, y, self._maker.target) else "NPU"
        return Layer(0, op, dtype, place, (x,), (y,), 0, 0, 0, f"{op}:{name}")

    def _start(self, name: str) -> str:
        """Return what a chain of moves begins with."""
        while name in self._sources:
            name = self._sources[name]
            if len(self._readers.get(name, [])) > 1:
                break
        return name


def _leaves_npu(op: str, dtype: str, before: Shape, after: Shape, target: Target) -> bool:
    """Whether the CPU moves the values, as in the tables of benchmarks/latency.

    On RK3566 what breaks blocks of channels, on RK3588 outputs of some sizes.
    """
    if target.name in ("rk3566", "rk3568"):
        if op == "Transpose":
            return bool(before[1] % _BLOCK)
        return len(after) == 4 and before[1] != after[1] and bool(before[1] % _BLOCK)
    if target.name != "rk3588" or op != "Reshape" or len(after) > 3:
        return False
    pixels = prod(before[2:]) if len(after) > 2 else prod(before)
    return bool(pixels * (1 if dtype == "INT8" else 2) % _PLANE)
