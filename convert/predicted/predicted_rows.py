"""The rows of the table for one layer: shapes, and cycles where the compiler counts some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil, prod

from onnx import NodeProto

from ...core.graphs.graph import Graph
from ...core.graphs.layers import LayerShape, layer_of, next_pooling, pooling_of
from ...core.types import Shape
from ..chips.compiler_log import Layer
from ..chips.cycles import ddr_cycles, npu_cycles
from ..chips.targets import Target
from .fused_operator import FusedOperator
from .fusions import constant_inputs, sum_over_channels
from .operator_formats import FLOAT16
from .split_convolutions import last_names, parts_of
from .stored_shapes import stored_shape


@dataclass(frozen=True)
class RowMaker:
    """What the rows of a model's layers have in common.

    With ``has_scales`` it is a QDQ model: the compiler cannot divide what is in integers, as the
    parts of the sum have no scale.
    """

    graph: Graph
    target: Target
    axes: dict[str, int]
    has_scales: bool = False

    def rows(self, operator: FusedOperator, dtype: str, runs_on: str) -> Iterator[Layer]:
        """Yield the rows of a layer, most often one."""
        shape = self._sizes(operator)
        if shape is None:
            yield self._plain(operator, dtype, runs_on)
        elif shape.op == "pool":
            yield from self._pooled(shape, dtype)
        elif shape.op == "grouped" and dtype == FLOAT16:
            yield from self._grouped(operator, shape, dtype)
        else:
            dense = shape.op == "grouped"
            shape = replace(shape, op="conv", groups=1) if dense else shape
            yield from self._counted(operator, shape, dtype)

    def row(self, op: str, dtype: str, name: str, *, runs_on: str = "NPU") -> Layer:
        """Return the row of an operator without arithmetic that leaves a tensor as it is."""
        shape = (self.stored(name),)
        return Layer(0, op, dtype, runs_on, shape, shape, 0, 0, 0, f"{op}:{name}")

    def stored(self, name: str) -> Shape:
        """Return the shape in which a tensor is stored; that of a constant is its own."""
        shape = self.graph.shapes.get(name, ())
        return stored_shape(shape, self.axes[name]) if name in self.axes else shape

    def _sizes(self, operator: FusedOperator) -> LayerShape | None:
        node = operator.first
        if node.op_type in ("GlobalAveragePool", "ReduceMean"):
            return _mean_over_plane(self.graph, node)
        if node.op_type == "ReduceSum":
            return sum_over_channels(self.graph, node)
        if not operator.op.startswith("Conv"):
            return None
        sizes = layer_of(self.graph, node)
        return None if sizes is None else replace(sizes, adds="Add" in operator.op)

    def _grouped(self, operator: FusedOperator, sizes: LayerShape, dtype: str) -> Iterator[Layer]:
        """Yield a convolution for each group: so it is in float16, while int8 takes dense ones."""
        y = self.stored(operator.writes[0])
        part = (y[0], sizes.cout // sizes.groups, *y[2:])
        x = self._input(operator, sizes)
        half = (x[0], sizes.cin // sizes.groups, *x[2:])
        name = operator.writes[0]
        yield Layer(0, "Split", dtype, "NPU", (x,), (half,), 0, 0, 0, f"Split:{name}")
        group = replace(sizes, op="conv", groups=1, cin=half[1], cout=part[1], adds=False)
        shapes = (half, _weight_shape(group), (group.cout,))
        for _ in range(sizes.groups):
            cycles = self._cycles(group, dtype)
            yield Layer(0, "Conv", dtype, "NPU", shapes, (part,), *cycles, f"Conv:{name}")
        joined = (part,) * sizes.groups
        yield Layer(0, "Concat", dtype, "NPU", joined, (y,), 0, 0, 0, f"Concat:{name}")
        if rest := operator.op.removeprefix("Conv").replace("ExSwish", "exSwish"):
            yield self.row(rest, dtype, name)

    def _counted(self, operator: FusedOperator, sizes: LayerShape, dtype: str) -> Iterator[Layer]:
        parts = tuple(self.stored(name)[1] for name in operator.summed)
        if not parts and self.has_scales and dtype != FLOAT16:
            parts = (sizes.cin,)
        elif not parts and len(parts := parts_of(sizes, self.target, dtype)) > 1:
            x = self._input(operator, sizes)
            half = (x[0], parts[0], *x[2:])
            name = f"Split:{operator.reads[0]}"
            yield Layer(0, "Split", dtype, "NPU", (x, (len(parts),)), (half,), 0, 0, 0, name)
        if len(parts) == 1:
            yield self._convolution(operator, sizes, operator.op, dtype)
            return
        last, further = last_names(operator.op)
        for index, cin in enumerate(parts):
            op = last if index == len(parts) - 1 else "ConvAdd" if index else "Conv"
            yield self._convolution(operator, replace(sizes, cin=cin, adds=index > 0), op, dtype)
        for op in further:
            yield self.row(op, dtype, operator.writes[0])

    def _input(self, operator: FusedOperator, sizes: LayerShape) -> Shape:
        if operator.first.op_type in ("MatMul", "Gemm"):
            return (1, sizes.cin, 1, sizes.in_h)
        shape = self.stored(operator.reads[0])
        return (shape[0], sizes.cin, *shape[2:])

    def _convolution(
        self, operator: FusedOperator, sizes: LayerShape, op: str, dtype: str
    ) -> Layer:
        x, y = self._input(operator, sizes), self.stored(operator.writes[0])
        if operator.first.op_type in ("MatMul", "Gemm"):
            y = (1, sizes.cout, 1, sizes.out_h)
        shapes = (x, _weight_shape(sizes), (sizes.cout,))
        name = f"Conv:{operator.first.name or operator.writes[0]}"
        return Layer(0, op, dtype, "NPU", shapes, (y,), *self._cycles(sizes, dtype), name)

    def _pooled(self, sizes: LayerShape, dtype: str) -> Iterator[Layer]:
        step: LayerShape | None = sizes
        while step is not None:
            x, y = (1, step.cin, step.in_h, step.in_w), (1, step.cout, step.out_h, step.out_w)
            shapes = (x, (1, step.cin, step.kernel_h, step.kernel_w), (step.cin,))
            cycles = self._cycles(step, dtype)
            yield Layer(0, "Conv", dtype, "NPU", shapes, (y,), *cycles, f"Conv:{step.name}")
            step = next_pooling(step)

    def _cycles(self, sizes: LayerShape, dtype: str) -> tuple[int, int, int]:
        ddr = round(ddr_cycles(sizes, self.target, dtype.lower()))
        npu = npu_cycles(sizes, self.target, dtype.lower())
        return ddr, npu, max(ddr, npu)

    def _plain(self, operator: FusedOperator, dtype: str, runs_on: str) -> Layer:
        x = tuple(map(self.stored, operator.reads))
        if operator.op not in ("exSDPAttention", "exMatMul"):
            constants = constant_inputs(self.graph, operator.nodes[:1])
            x = (*x, *map(self.stored, constants))
        y = tuple(map(self.stored, operator.writes[:1]))
        op = operator.op
        return Layer(0, op, dtype, runs_on, x, y, 0, 0, 0, f"{op}:{operator.first.name}")


def _weight_shape(sizes: LayerShape) -> Shape:
    kernel = (sizes.kernel_h, sizes.kernel_w)
    if sizes.op == "depthwise":
        return (1, sizes.cout, *kernel)
    return (sizes.cout, sizes.cin // sizes.groups, *kernel)


def _mean_over_plane(graph: Graph, node: NodeProto) -> LayerShape | None:
    """Return the pooling of a mean over height and width, however it is written."""
    if node.op_type == "GlobalAveragePool":
        return pooling_of(graph, node)
    before, after = (graph.shapes.get(name, ()) for name in (node.input[0], node.output[0]))
    if len(before) != 4 or prod(after) != before[0] * before[1]:
        return None
    (h, w), channels = before[2:], before[1]
    kernel, out = (min(h, 7), min(w, 7)), (ceil(h / 7), ceil(w / 7))
    name = node.name or node.output[0]
    return LayerShape(name, "pool", channels, channels, *kernel, channels, h, w, *out)
