"""The layer table that a build of a model would print, without the build."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from onnx import ModelProto

from ...core.graphs.graph import Graph
from ..audit.audit_view import view_of
from ..chips.compiler_log import Layer
from ..chips.targets import Target
from ..latency.estimate import estimate
from .fused_operator import FusedOperator
from .fusions import fused_operators
from .operator_formats import FLOAT16, INT8, formats_of, last_in_int8, runs_on
from .predicted_rows import RowMaker
from .reshapes import Reshapes
from .split_convolutions import summed_over
from .stored_shapes import channel_axes, silent_moves


def predicted_layers(model: ModelProto, target: Target, dtype: str = "int8") -> tuple[Layer, ...]:
    """Return the rows of a prepared model's table, as rknn-toolkit2 2.5.0 would print them.

    ``dtype`` is int8, int16 or float16 and tells what a float model is built in; a QDQ model is
    taken as its scales say. Convolutions have the cycles of cycles.py. Raises ValueError when the
    target lacks the format.
    """
    view = view_of(model, None)
    return LayerPredictor(view.graph, target).layers(dtype, view.quantized)


class LayerPredictor:
    """The tables of one float graph in any formats; what is joined is worked out once."""

    def __init__(self, graph: Graph, target: Target) -> None:
        self._graph, self._target = graph, target
        axes = channel_axes(graph)
        self._same = silent_moves(graph, axes)
        self._operators = list(summed_over(graph, fused_operators(graph, self._same, target)))
        self._maker = RowMaker(graph, target, axes)

    def layers(self, dtype: str, quantized: Collection[str] | None = None) -> tuple[Layer, ...]:
        """Return the rows: all in ``dtype``, or in float16 what is not among ``quantized``.

        These are the names of activations and weights that have a scale.
        """
        formats = formats_of(self._graph, quantized, self._operators, self._target, dtype)
        maker = replace(self._maker, has_scales=quantized is not None)
        table = _TableRows(self._graph, self._target, maker, self._same, formats)
        rows = table.rows(self._operators, quantized, dtype)
        unique: dict[str, Layer] = {}
        for row in rows:  # parts of the same tensor are made once
            key = row.name if row.op == "Split" else f"{len(unique)}"
            unique.setdefault(key, row)
        return tuple(replace(row, index=index) for index, row in enumerate(unique.values()))

    def ms(
        self, dtype: str, quantized: Collection[str] | None = None, toolkit: str | None = None
    ) -> float:
        """Return the milliseconds of that table; infinite for a chip without a fit."""
        latency = estimate(self.layers(dtype, quantized), self._target, toolkit)
        return float("inf") if latency is None or latency.ms is None else latency.ms


class _TableRows:
    """The rows of one choice of formats, which are those of the operators in their order."""

    def __init__(
        self,
        graph: Graph,
        target: Target,
        maker: RowMaker,
        same: dict[str, str],
        formats: dict[str, str],
    ) -> None:
        self._graph, self._target, self._maker, self._same = graph, target, maker, same
        self._formats = formats
        self._stored: dict[str, str] = {}  # the format of each tensor
        self._converted: set[tuple[str, str]] = set()

    def rows(
        self, operators: list[FusedOperator], quantized: Collection[str] | None, dtype: str
    ) -> Iterator[Layer]:
        """Yield inputs, layers with what they need of their inputs, and outputs."""
        reshapes = Reshapes(self._graph, operators, self._same, self._maker)
        whole = dtype.upper()
        for name in self._graph.input_names:
            is_float = quantized is not None and name not in quantized
            self._stored[name] = FLOAT16 if is_float else whole
            row = self._maker.row("InputOperator", self._stored[name], name, runs_on="CPU")
            yield replace(row, input_shapes=())
            yield from reshapes.of_input(name, self._stored[name])
        for operator in operators:
            yield from self._layer(operator, reshapes, quantized or ())
        for name in self._graph.output_names:
            stored = self._stored.get(self._same.get(name, name), whole)
            yield from reshapes.before_output(name, stored)
            row = self._maker.row("OutputOperator", stored, name, runs_on="CPU")
            yield replace(row, output_shapes=())

    def _layer(
        self, operator: FusedOperator, reshapes: Reshapes, quantized: Collection[str]
    ) -> Iterator[Layer]:
        dtype, name = self._formats[operator.writes[0]], operator.writes[0]
        if reshapes.is_move(operator):  # in whatever format its input has
            dtype = self._stored.get(operator.reads[0], dtype)
            self._stored[name] = dtype
            yield from reshapes.rows(operator, dtype)
            return
        for read in operator.reads:
            yield from self._conversion(read, dtype)
            yield from reshapes.before(operator, read, dtype)
        self._stored.update(dict.fromkeys(operator.writes, dtype))
        place = runs_on(self._graph, operator, self._target, dtype)
        last = last_in_int8(operator, dtype, quantized)
        if last is None:
            yield from self._maker.rows(operator, dtype, place)
            return
        without = "Conv" if operator.summed else operator.op.removesuffix(last)
        yield from self._maker.rows(replace(operator, op=without), dtype, place)
        yield self._maker.row("exDataConvert", dtype, name)
        self._stored[name] = INT8
        if last:
            yield self._maker.row(last, INT8, name)

    def _conversion(self, name: str, dtype: str) -> Iterator[Layer]:
        """Yield what turns a tensor into another format, once for all that read it in that."""
        stored = self._stored.get(name, dtype)
        if stored != dtype and (name, dtype) not in self._converted:
            self._converted.add((name, dtype))
            yield self._maker.row("exDataConvert", stored, name)
