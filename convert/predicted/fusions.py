"""Which operators the compiler joins to one layer, in the order in which they run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from onnx import NodeProto

from ...core.graphs.graph import Graph, attributes
from ...core.graphs.layers import LayerShape
from ..chips.targets import Target
from .composites import composites
from .fused_operator import FusedOperator

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
# operators that only give the values another shape
RESHAPING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Dropout")
_NAMES = {
    "Softmax": "exSoftmax13",
    "LayerNormalization": "exNorm",
    "GlobalMaxPool": "MaxPool",
    "Upsample": "Resize",
}
_ACTIVATIONS = {
    **{name: name for name in ("Relu", "Clip", "LeakyRelu", "PRelu", "Sigmoid", "HardSigmoid")},
    **{"exSwish": "ExSwish", "HardSwish": "HardSwish", "Tanh": "Tanh", "Gelu": "ExGelu"},
}
_JOINING = ("Conv", "BatchNormalization", "MaxPool", "Concat", "Add")
_ADDING = ("Conv", "ConvRelu", "ConvLeakyRelu")  # what a sum may still be joined to
_ADDED = ("Relu", "Clip", "LeakyRelu")  # what may follow the sum


def fused_operators(graph: Graph, same: Mapping[str, str], target: Target) -> list[FusedOperator]:
    """Return the layers of a float graph, joined as rknn-toolkit2 2.5.0 joins them.

    A convolution or product with weights takes along a normalisation of batches, its bias, one
    activation and a residual sum; the rest stands alone. ``same`` maps tensors to those that they
    are stored as.
    """
    operators = [
        replace(each, reads=tuple(same.get(name, name) for name in each.reads))
        for each in _single(graph, target)
        if each.writes[0] not in same
    ]
    outputs = {same.get(name, name) for name in graph.output_names}
    joined: dict[str, FusedOperator] = {}  # by what they write
    readers: dict[str, list[FusedOperator]] = defaultdict(list)
    for operator in operators:
        for name in set(operator.reads):
            readers[name].append(operator)
    for operator in operators:
        pair = _joins(graph, operator, joined, readers, outputs)
        if pair is not None:
            before, result = pair
            del joined[before.writes[0]]
            operator = result
        joined[operator.writes[0]] = operator
    return list(joined.values())


def _single(graph: Graph, target: Target) -> list[FusedOperator]:
    """Return every node alone, but for those that are one function together."""
    together = {each.nodes[-1].output[0]: each for each in composites(graph, target)}
    last = {each.writes[0] for each in together.values()}
    inner = {name for each in together.values() for node in each.nodes for name in node.output}
    computed = {*graph.input_names, *graph.producers}
    operators = []
    for node in graph.nodes:
        name = node.output[0]
        if name in last:
            operators.append(next(each for each in together.values() if each.writes[0] == name))
        elif name not in inner:
            reads = tuple(read for read in node.input if read in computed)
            writes = tuple(filter(None, node.output))
            operators.append(FusedOperator(_name(graph, node), (node,), reads, writes))
    return operators


def _name(graph: Graph, node: NodeProto) -> str:
    if node.op_type in ("Gemm", "MatMul"):
        return "Conv" if graph.is_weight(node.input[1]) else "exMatMul"
    if node.op_type == "ReduceSum" and sum_over_channels(graph, node):
        return "Conv"
    return _NAMES.get(node.op_type, node.op_type)


def _joins(
    graph: Graph,
    operator: FusedOperator,
    joined: dict[str, FusedOperator],
    readers: dict[str, list[FusedOperator]],
    outputs: Collection[str],
) -> tuple[FusedOperator, FusedOperator] | None:
    """Return the layer that an operator becomes part of, before and after; None for none."""
    candidates = [
        joined[name]
        for name in operator.reads
        if name in joined and len(readers[name]) == 1 and name not in outputs
    ]
    candidates = [layer for layer in candidates if layer.op.startswith(_JOINING)]
    order = list(joined)
    candidates.sort(key=lambda layer: -order.index(layer.writes[0]))
    for layer in candidates:
        name = _joined_name(graph, layer, operator)
        if name is not None:
            reads = (*layer.reads, *(r for r in operator.reads if r != layer.writes[0]))
            nodes = (*layer.nodes, *operator.nodes)
            return layer, replace(operator, op=name, nodes=nodes, reads=reads)
    return None


def _joined_name(graph: Graph, layer: FusedOperator, operator: FusedOperator) -> str | None:
    """Return the name of both as one layer, None where they stay two."""
    op = layer.op
    if op in ("BatchNormalization", "Add") or op in ("BatchNormalizationRelu", "AddRelu"):
        return f"{op}Relu" if operator.op == "Relu" and not op.endswith("Relu") else None
    if op in ("MaxPool", "Concat"):
        return op if _continues(graph, layer, operator) else None
    is_plain = op in ("Conv", "ConvTranspose")
    if is_plain and _is_folded(graph, operator):
        return op
    if operator.op == "Add" and _adds_same(graph, operator):
        if op == "Conv" and layer.first.op_type == "Conv" and layer.reads[0] in operator.reads:
            return op  # the convolution's own input becomes a 1 in the middle of its kernel
        return f"{op}Add" if op in _ADDING and not _is_depthwise(graph, layer) else None
    if is_plain:
        activation = _ACTIVATIONS.get(operator.op)
        return None if activation is None else f"{op}{activation}"
    return f"{op}{operator.op}" if op == "ConvAdd" and operator.op in _ADDED else None


def _continues(graph: Graph, layer: FusedOperator, operator: FusedOperator) -> bool:
    """Whether two poolings of all pixels are a larger one, or two Concats a longer one."""
    if layer.op != operator.op:
        return False
    if layer.op == "Concat":
        return bool(attributes(layer.first)["axis"] == attributes(operator.first)["axis"])
    shapes = {graph.shapes.get(name) for name in (layer.reads[0], *operator.writes)}
    return len(shapes) == 1


def _is_folded(graph: Graph, operator: FusedOperator) -> bool:
    """Whether weights and bias of the layer before can take an operator in."""
    if operator.op == "BatchNormalization":
        return True
    constants = [name for name in operator.first.input if graph.is_weight(name)]
    if operator.op not in ("Add", "Mul", "Sub", "Div") or not constants:
        return False
    return sum(size > 1 for size in graph.shapes[constants[0]]) <= 1


def _adds_same(graph: Graph, operator: FusedOperator) -> bool:
    shapes = {graph.shapes.get(name) for name in operator.first.input}
    return len(operator.reads) == 2 and len(shapes) == 1


def _is_depthwise(graph: Graph, layer: FusedOperator) -> bool:
    return int(attributes(layer.first).get("group", 1)) > 1


def sum_over_channels(graph: Graph, node: NodeProto) -> LayerShape | None:
    """Return the convolution to one channel that a sum over the channels becomes."""
    before, after = (graph.shapes.get(name, ()) for name in (node.input[0], node.output[0]))
    if len(before) != 4 or after != (before[0], 1, *before[2:]):
        return None
    return LayerShape(node.name, "conv", before[1], 1, 1, 1, 1, *before[2:], *before[2:])


def constant_inputs(graph: Graph, nodes: Sequence[NodeProto]) -> list[str]:
    """Return the constants that some nodes read, without repetition."""
    return list(dict.fromkeys(n for node in nodes for n in node.input if graph.is_weight(n)))
