"""Which 2:4 sparse layers the compiler stores and computes as such (its option sparse_infer).

Found by building single layers with rknn-toolkit2 2.3.2 and 2.5.0, and reading the SparseRatio
column of the layer table. A Conv (1-D or 2-D, of any kernel, stride and dilation), Gemm or MatMul
without groups is recognised along its outputs from 16 outputs on, in steps of 16, if it has five
inputs or more; on rk3576 in int8 along its inputs too, in steps of 32. Weights of four bits,
transposed, grouped and depthwise convolutions are not. A recognised weight takes 23 % less space.
The table's arithmetic (the NPU column) stays as it was, and its traffic (DDR, RW) falls by the
whole weight and a little more: 85 to 47 KB for an input of 49 and a weight of 36 KB. So its cycles
say neither what is saved nor what is read, and a warning says so. The milliseconds do
(latency/work.py): they charge half the arithmetic and 77 % of the weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onnx import ModelProto, NodeProto

from ...core.diagnostics import Diagnostic
from ...core.graphs.graph import Graph
from ...core.graphs.sparsity import Axis, axis_of, is_sparse, may_be_sparse
from ...core.types import Array
from .compiler_log import Layer
from .targets import Target

_OUTPUT_STEP, _INPUT_STEP = 16, 32
_LEAST_INPUTS = 5


def sparse_axes(target: Target, dtype: str, node: NodeProto, weight: Array) -> tuple[Axis, ...]:
    """Return the axes along which the compiler recognises 2:4; ``dtype`` is w8a8, float16 ...

    >>> import numpy as np
    >>> from onnx import helper
    >>> from rockpress.convert.chips.targets import find_target
    >>> conv, weight = helper.make_node("Conv", ["x", "w"], ["y"]), np.zeros((16, 64, 3, 3))
    >>> sparse_axes(find_target("rk3576"), "w8a8", conv, weight)
    ('output', 'input')
    >>> sparse_axes(find_target("rk3576"), "float16", conv, weight)
    ('output',)
    >>> sparse_axes(find_target("rk3588"), "w8a8", conv, weight)
    ()
    """
    if not target.sparse or dtype not in target.sparse or not may_be_sparse(node):
        return ()
    inputs, outputs = (weight.shape[axis_of(node, side)] for side in ("input", "output"))
    if outputs % _OUTPUT_STEP or inputs < _LEAST_INPUTS:
        return ()
    axes = target.sparse[dtype]
    return tuple(axis for axis in axes if axis == "output" or inputs % _INPUT_STEP == 0)


def sparse_layers(model: ModelProto, target: Target, dtype: str) -> tuple[str, ...]:
    """Return the names of layers with 2:4 that the compiler recognises, of a float or QDQ model."""
    if not target.sparse:
        return ()
    graph = Graph(model)
    names = []
    for node in graph.nodes:
        weight = _weight_of(graph, node) if may_be_sparse(node) else None
        if weight is None or weight.ndim < 2 or not weight.any():
            continue
        axes = sparse_axes(target, dtype, node, weight)
        if any(is_sparse(weight, axis_of(node, axis)) for axis in axes):
            names.append(node.name or node.output[0])
    return tuple(names)


def _weight_of(graph: Graph, node: NodeProto) -> Array | None:
    """The constant weight of a layer, out of its DequantizeLinear where there is one."""
    name = node.input[1]
    maker = graph.producers.get(name)
    if maker is None or maker.op_type != "DequantizeLinear":
        return graph.weights.get(name)
    steps = graph.weights.get(maker.input[0])
    zero = graph.weights.get(maker.input[2]) if len(maker.input) > 2 else None
    return steps if steps is None or zero is None or not zero.any() else None


def sparse_warnings(expected: Sequence[str], layers: Sequence[Layer]) -> Iterator[Diagnostic]:
    """Yield warnings of fewer sparse layers than the ``expected`` ones, and of traffic left out."""
    taken = sum(layer.sparse_ratio > 0 for layer in layers)
    if layers and taken < len(expected):
        yield Diagnostic(
            "toolkit-sparse",
            f"the compiler leaves the zeros out of {taken} of the {len(expected)} layers that are "
            "2:4 sparse",
            "layers in float16 among int8 ones are recognised along their outputs only",
        )
    if taken:
        yield Diagnostic(
            "toolkit-sparse-cycles",
            f"the compiler counts all the arithmetic of {taken} 2:4 sparse layers and none of "
            "their "
            "weights' traffic; the milliseconds charge half of the one and 77 % of the other, "
            "which "
            "meets the speed-ups that are published for int8 on RK3576",
            "go by the milliseconds, not by the cycles; on RV1126B and in float16 nobody has "
            "timed it",
        )
