"""The number format in which each layer runs, and where."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ...core.graphs.graph import Graph
from ..audit.operator_audit import leaves_npu
from ..chips.targets import Target
from .fused_operator import FusedOperator

FLOAT16, INT8 = "FLOAT16", "INT8"
# what the NPU runs in float16 alone, whatever is asked for
_FLOAT_ALONE = ("exSoftmax13",)
# computed behind a convolution in float16, but on their own and in int8 where that is stored
_SEPARATE = ("Relu", "Clip", "LeakyRelu", "PRelu")


def formats_of(
    graph: Graph,
    quantized: Collection[str] | None,
    operators: Sequence[FusedOperator],
    target: Target,
    dtype: str,
) -> dict[str, str]:
    """Return what a layer writes -> FLOAT16, or ``dtype`` where all that it touches has a scale.

    With ``quantized`` None everything has one.
    """
    whole = dtype.upper()
    integer = INT8 if whole == FLOAT16 and quantized is not None else whole
    has_float = target.core.float16 is not None
    formats = {}
    for operator in operators:
        is_float = has_float and _is_float(graph, quantized, operator, target, dtype)
        formats[operator.writes[0]] = FLOAT16 if is_float else integer
    return formats


def _is_float(
    graph: Graph,
    quantized: Collection[str] | None,
    operator: FusedOperator,
    target: Target,
    dtype: str,
) -> bool:
    if quantized is None:
        return operator.op in _FLOAT_ALONE and runs_on(graph, operator, target, dtype) == "NPU"
    if operator.summed:  # the first sum has no scale of its own
        return True
    weights = operator.first.input[1:2] if operator.op.startswith("Conv") else ()
    constants = [name for name in weights if graph.is_weight(name)]
    return any(n not in quantized for n in (*operator.reads, *operator.writes, *constants))


def last_in_int8(operator: FusedOperator, dtype: str, quantized: Collection[str]) -> str | None:
    """Return the activation of a float16 layer that is computed in int8, on its own, at its end.

    It is "" where what the layer makes is only converted, None where it stays as it is.
    """
    if dtype != FLOAT16 or operator.writes[0] not in quantized:
        return None
    if operator.summed:
        return operator.op.removeprefix("Conv").replace("ExSwish", "exSwish")
    last = operator.nodes[-1].op_type
    is_joined = len(operator.nodes) > 1 and operator.op.startswith("Conv")
    return last if is_joined and last in _SEPARATE else None


def runs_on(graph: Graph, operator: FusedOperator, target: Target, dtype: str) -> str:
    """Return NPU or CPU, as the table of operators says; what is joined runs on the NPU."""
    is_single = len(operator.nodes) == 1
    leaves = is_single and leaves_npu(graph, operator.first, target, dtype.lower())
    return "CPU" if leaves else "NPU"
