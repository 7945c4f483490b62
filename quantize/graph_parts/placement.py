"""Which tensors of a graph carry quantized values on the NPU.

An operator runs in int8 only if its input, its weight and its output are all quantized. Values
are quantized after a convolution *and* its activation, since the NPU computes both in one step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto, TensorProto

from ...core.graphs.graph import Graph, attributes
from ...core.graphs.joins import MOVING
from .attention import WEIGHTED, floating_tensors
from .joined_functions import joined_functions

# the NPU applies these to a convolution's result before it is stored
FUSED = ("Relu", "Clip", "LeakyRelu", "PRelu")
# of these the compiler needs no scale in between where there is no float16
_FUSED_IN_INT8 = ("Relu", "Clip")
_COMPUTING = (
    "Add Sub Mul Div Concat AveragePool GlobalAveragePool Resize Upsample Pad Relu Clip LeakyRelu "
    "PRelu Sigmoid HardSigmoid HardSwish Tanh Elu Max Min ReduceMean"
).split()


@dataclass(frozen=True)
class QdqPlacement:
    """Where quantization happens.

    ``tensors`` are the activations to quantize, in graph order. ``same_as`` maps a tensor that
    was only moved to the one whose scale it shares. ``weights`` are the nodes whose constant
    weight is quantized as well.
    """

    tensors: tuple[str, ...]
    same_as: dict[str, str]
    weights: tuple[NodeProto, ...]


def place(
    graph: Graph, high_precision: Collection[str] = (), *, has_float16: bool = True
) -> QdqPlacement:
    """Return where a prepared model is quantized. Operators that int8 does not know are not.

    Nor are the tensors named by ``high_precision``, and the parts of attention that the compiler
    crashes on otherwise. Where the chip has no float16, all are but the former.
    """
    weights = weighted_nodes(graph)
    chosen = [
        node for node in graph.nodes if not has_float16 or node in weights or _is_int8(graph, node)
    ]
    touched = {name for node in chosen for name in [*node.input, *node.output]}
    hidden = hidden_tensors(graph) | set(high_precision)
    fused = FUSED if has_float16 else _FUSED_IN_INT8
    if has_float16:
        hidden |= floating_tensors(graph)
    tensors = tuple(
        name
        for name in _activations(graph)
        if name in touched and name not in hidden and not is_inside(graph, name, fused)
    )
    quantized = set(tensors)
    layers = tuple(
        node
        for node in weights
        if node.input[0] in quantized and _is_stored(graph, node.output[0], quantized)
    )
    return QdqPlacement(tensors, _shared(graph, quantized), layers)


def left_in_float(
    graph: Graph, placement: QdqPlacement, *, has_float16: bool = True
) -> dict[str, int]:
    """Return operator type -> number of nodes in float; none where the chip has no float16."""
    if not has_float16:
        return {}
    left = Counter(node.op_type for node in float_nodes(graph, placement))
    return dict(sorted(left.items()))


def float_nodes(graph: Graph, placement: QdqPlacement) -> list[NodeProto]:
    """Return the nodes in float: not all that they read and make is int8.

    An LSTM between quantized tensors is one of them, as is a convolution whose weight is computed.
    """
    hidden, real = hidden_tensors(graph), set(_activations(graph))
    quantized, layers = set(placement.tensors), {node.output[0] for node in placement.weights}

    def is_int8(node: NodeProto) -> bool:
        if node.op_type in WEIGHTED:
            return node.output[0] in layers
        is_known = node.op_type in (*MOVING, *_COMPUTING, "BatchNormalization")
        if not is_known and node.output[0] not in hidden:
            return False
        names = [*filter(None, node.output), *real.intersection(node.input)]
        return all(_is_stored(graph, name, quantized, hidden) for name in names)

    return [node for node in graph.nodes if not is_int8(node)]


def weighted_nodes(graph: Graph) -> tuple[NodeProto, ...]:
    """Return the layers with a constant weight that has one scale for each output channel."""
    return tuple(node for node in graph.nodes if _is_weighted(graph, node))


def _is_weighted(graph: Graph, node: NodeProto) -> bool:
    weight = graph.weights.get(node.input[1]) if node.op_type in WEIGHTED else None
    if weight is None or weight.dtype != np.float32:
        return False
    # the compiler knows a scale for each output channel only where these sit on one axis
    return node.op_type != "MatMul" or weight.ndim == 2


def stored_as(graph: Graph, name: str, hidden: Collection[str] = ()) -> str:
    """Return what is stored of a tensor: itself, or the activation behind it that is fused."""
    while name in hidden or is_inside(graph, name):
        name = graph.consumers[name][0].output[0]
    return name


def _is_stored(
    graph: Graph, name: str, tensors: Collection[str], hidden: Collection[str] = ()
) -> bool:
    """Return whether a tensor is quantized, or the activation behind it that is fused with it."""
    return name in tensors or stored_as(graph, name, hidden) in tensors


def _activations(graph: Graph) -> list[str]:
    """Return the float32 activations of known shape: indices and truth values have no scale."""
    values = [*graph.model.graph.input, *graph.model.graph.value_info, *graph.model.graph.output]
    real = {v.name for v in values if v.type.tensor_type.elem_type == TensorProto.FLOAT}
    computed = [name for node in graph.nodes for name in node.output if name]
    return [
        name for name in [*graph.input_names, *computed] if graph.shapes.get(name) and name in real
    ]


def _is_int8(graph: Graph, node: NodeProto) -> bool:
    has_shapes = all(graph.shapes.get(name) is not None for name in node.output)
    return node.op_type in MOVING or (node.op_type in _COMPUTING and has_shapes)


def is_inside(graph: Graph, name: str, functions: Collection[str] = FUSED) -> bool:
    """Return whether the tensor is the inner value of a layer fused with one of these functions."""
    producer = graph.producers.get(name)
    readers = graph.consumers.get(name, [])
    if producer is None or len(readers) != 1 or name in graph.output_names:
        return False
    fused = readers[0].op_type in functions and readers[0].input[0] == name
    return fused and producer.op_type in (*WEIGHTED, "Add", "BatchNormalization")


def hidden_tensors(graph: Graph) -> set[str]:
    """Return what is inside of a SiLU, HardSwish, GELU or Mish, which the compiler joins then."""
    return {name for function in joined_functions(graph) for name in function.inner}


def _shared(graph: Graph, tensors: set[str]) -> dict[str, str]:
    """Return moved tensor -> the tensor whose values it holds, followed back to its origin."""
    shared: dict[str, str] = {}
    for node in graph.nodes:
        source = node.input[0] if node.input else ""
        if not _moves(node) or source not in tensors:
            continue
        for name in node.output:
            if name in tensors:
                shared[name] = shared.get(source, source)
    return shared


def _moves(node: NodeProto) -> bool:
    """Return whether a node only moves values: a Resize to the nearest does, as that copies them.

    With a scale of its own behind such a Resize, the compiler takes the convolution that reads it
    apart: a YOLOv8n of 320 pixels took an estimated 6.50 ms instead of 4.68 on RK3588.
    """
    if node.op_type in ("Resize", "Upsample"):
        return str(attributes(node).get("mode", "nearest")) == "nearest"
    return node.op_type in MOVING
