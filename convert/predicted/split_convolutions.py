"""Convolutions that the compiler makes a sum of smaller ones, each over some of the inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil

from ...core.graphs.graph import Graph, attributes
from ...core.graphs.layers import LayerShape
from ..chips.targets import Target
from .fused_operator import FusedOperator

# bytes of the weights of one output channel, beyond which inputs are divided: of the models in
# benchmarks/latency none with more is whole, and none with less is divided
_MOST_BYTES = {"rk3588": 3072}
_MOST_ELSEWHERE = 6144
_STEP = 16  # channels in which they are divided
# a Concat of two is summed over instead of stored where the convolution has outputs for less than
# this part of its inputs: of the models there 0.4 is summed, and 0.5 stored
_FEW_OUTPUTS = 0.45
_IN_SUM = ("Relu", "Clip", "LeakyRelu")


def parts_of(sizes: LayerShape, target: Target, dtype: str) -> tuple[int, ...]:
    """Return the input channels of the convolutions that one is divided into; of most one.

    >>> from ..chips.targets import find_target
    >>> wide = LayerShape("c", "conv", 512, 64, 3, 3)
    >>> parts_of(wide, find_target("rk3588"), "INT8"), parts_of(wide, find_target("rk3576"), "INT8")
    ((256, 256), (512,))
    """
    if sizes.groups > 1 or sizes.op == "convtranspose" or sizes.cin < _STEP:
        return (sizes.cin,)
    bytes_a_channel = sizes.kernel_h * sizes.kernel_w * (1 if dtype == "INT8" else 2)
    most = _MOST_BYTES.get(target.name, _MOST_ELSEWHERE) // bytes_a_channel // _STEP * _STEP
    count = ceil(sizes.cin / max(most, 1))
    even = sizes.cin // count
    size = even if sizes.cin % count == 0 and even % _STEP == 0 else most
    return tuple(min(size, sizes.cin - start) for start in range(0, sizes.cin, size))


def last_names(op: str) -> tuple[str, list[str]]:
    """Return the name of the last convolution of a sum, and the layers that follow it.

    >>> last_names("ConvExSwish"), last_names("ConvReluAdd")
    (('ConvAdd', ['exSwish']), ('ConvAddRelu', ['Add']))
    """
    activation = op.removeprefix("Conv").replace("Add", "")
    residual = ["Add"] if "Add" in op else []
    if not activation or activation in _IN_SUM:
        return f"ConvAdd{activation}", residual
    return "ConvAdd", [activation.replace("ExSwish", "exSwish"), *residual]


def summed_over(graph: Graph, operators: Sequence[FusedOperator]) -> Iterator[FusedOperator]:
    """Yield the layers, with a convolution in place of a Concat and the one that alone reads it."""
    writers = {name: each for each in operators for name in each.writes}
    readers = Counter(name for each in operators for name in set(each.reads))
    dropped: set[str] = set()
    replaced: dict[str, FusedOperator] = {}
    for operator in operators:
        concat = writers.get(operator.reads[0]) if operator.reads else None
        if concat is None or not _is_summed(graph, operator, concat, readers):
            continue
        dropped.add(concat.writes[0])
        reads = (*concat.reads, *operator.reads[1:])
        replaced[operator.writes[0]] = replace(operator, reads=reads, summed=concat.reads)
    for operator in operators:
        if operator.writes[0] not in dropped:
            yield replaced.get(operator.writes[0], operator)


def _is_summed(
    graph: Graph,
    operator: FusedOperator,
    concat: FusedOperator,
    readers: Counter[str],
) -> bool:
    name = concat.writes[0]
    alone = readers[name] == 1 and name not in graph.output_names
    is_conv = operator.first.op_type == "Conv" and attributes(operator.first).get("group", 1) == 1
    if not alone or not is_conv or concat.op != "Concat" or len(concat.reads) != 2:
        return False
    outputs, inputs = graph.shapes[operator.first.input[1]][:2]
    return outputs < _FEW_OUTPUTS * inputs and attributes(concat.first)["axis"] == 1
