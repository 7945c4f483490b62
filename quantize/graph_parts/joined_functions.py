"""Functions of one tensor that a graph spells out and the compiler computes as one operator.

Measured with rknn-toolkit2 2.5.0: where what is inside has no scale of its own, the compiler joins
these in int8, at level 2 as well, and rounds nothing inside: bit for bit what the model says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from ...core.graphs.graph import Graph

SILU, HARD_SWISH, GELU, MISH = "SiLU", "HardSwish", "GELU", "Mish"
_GATES = {"Sigmoid": SILU, "HardSigmoid": HARD_SWISH}
_HARD_SWISH = ("Add", "Clip", "Mul", "Div")
_HARD_SWISH_BY_FACTOR = ("Add", "Clip", "Mul", "Mul")
_HALF = 0.5


@dataclass(frozen=True)
class JoinedFunction:
    """A function of the tensor ``source`` and the ``inner`` tensors, which nothing else reads."""

    kind: str
    source: str
    inner: frozenset[str]


def joined_functions(graph: Graph) -> Iterator[JoinedFunction]:
    """Yield each SiLU, HardSwish, GELU (by Erf) and Mish that is spelt out.

    >>> from onnx.parser import parse_model
    >>> nodes = "s = Softplus (x) t = Tanh (s) y = Mul (x, t)"
    >>> head = '<ir_version: 8, opset_import: ["": 17]> f (float[4] x) => (float[4] y)'
    >>> (mish,) = joined_functions(Graph(parse_model(f"{head} {{ {nodes} }}")))
    >>> mish.kind, mish.source, sorted(mish.inner)
    ('Mish', 'x', ['s', 't'])
    """
    matchers = {**dict.fromkeys(_GATES, _gated), "Add": _hard_swish, "Erf": _gelu}
    matchers["Softplus"] = _mish
    for node in graph.nodes:
        matcher = matchers.get(node.op_type)
        function = matcher(graph, node) if matcher else None
        if function is not None:
            yield function


def _gated(graph: Graph, node: NodeProto) -> JoinedFunction | None:
    """Match x * sigmoid(x): a product with what the sigmoid reads, both for that alone.

    With another reader of x, the compiler crashes where the gate has no scale.
    """
    product = _only_reader(graph, node)
    return _product(graph, _GATES[node.op_type], node.input[0], [node], product)


def _mish(graph: Graph, node: NodeProto) -> JoinedFunction | None:
    """Match x * tanh(softplus(x))."""
    tanh = _only_reader(graph, node)
    if tanh is None or tanh.op_type != "Tanh":
        return None
    return _product(graph, MISH, node.input[0], [node, tanh], _only_reader(graph, tanh))


def _product(
    graph: Graph, kind: str, source: str, chain: list[NodeProto], product: NodeProto | None
) -> JoinedFunction | None:
    """Return the function where the product is of the source and the chain's end."""
    is_product = product is not None and product.op_type == "Mul"
    if product is None or not is_product or set(product.input) != {source, chain[-1].output[0]}:
        return None
    if len(graph.consumers[source]) != 2:
        return None
    return JoinedFunction(kind, source, frozenset(node.output[0] for node in chain))


def _hard_swish(graph: Graph, node: NodeProto) -> JoinedFunction | None:
    """Match x * clip(x + 3, 0, 6) / 6, or times a sixth."""
    chain: list[NodeProto] = [node]
    while len(chain) < len(_HARD_SWISH) and (reader := _only_reader(graph, chain[-1])):
        chain.append(reader)
    if tuple(member.op_type for member in chain) not in (_HARD_SWISH, _HARD_SWISH_BY_FACTOR):
        return None
    source = _computed(graph, node)
    if not source or source not in chain[2].input:
        return None
    inner = frozenset(member.output[0] for member in chain[:-1])
    return JoinedFunction(HARD_SWISH, source, inner)


def _gelu(graph: Graph, node: NodeProto) -> JoinedFunction | None:
    """Match x * (1 + erf(x / sqrt(2))) / 2, its operands in the order that the compiler knows.

    In another order, or with x times a constant, it computes them one by one, in float16 where
    they have no scales.
    """
    scaled, shifted = graph.producers.get(node.input[0]), _only_reader(graph, node)
    if scaled is None or shifted is None or _only_reader(graph, scaled) is None:
        return None
    source = scaled.input[0]
    is_erf = _is_of(graph, scaled, "Div", source, 2**0.5)
    is_shifted = _is_of(graph, shifted, "Add", node.output[0], 1.0)
    if not is_erf or not is_shifted or len(graph.consumers[source]) != 2:
        return None
    inside = _inside_product(graph, source, shifted)
    inner = {scaled.output[0], node.output[0], shifted.output[0], inside}
    return JoinedFunction(GELU, source, frozenset(inner)) if inside else None


def _inside_product(graph: Graph, source: str, shifted: NodeProto) -> str:
    """Return the tensor inside x * shifted * 0.5, in the orders that are joined; else ""."""
    name, product = shifted.output[0], _only_reader(graph, shifted)
    if product is None or product.op_type != "Mul":
        return ""
    halved = graph.producers.get(product.input[0])
    if halved is not None and _is_of(graph, halved, "Mul", source, _HALF):
        is_joined = product.input[1] == name and _only_reader(graph, halved) is not None
        return halved.output[0] if is_joined else ""
    last = _only_reader(graph, product)
    if last is None or last.op_type != "Mul":
        return ""
    is_halved_last = list(product.input) == [source, name] and _has(graph, last, _HALF)
    is_halved_first = _has(graph, product, _HALF) and source in last.input
    return product.output[0] if is_halved_last or is_halved_first else ""


def _is_of(graph: Graph, node: NodeProto, kind: str, name: str, value: float) -> bool:
    """Return whether a node computes with a tensor and, as its second operand, a number."""
    is_kind = node.op_type == kind and node.input[0] == name
    return is_kind and _is_number(graph, node.input[1], value)


def _has(graph: Graph, node: NodeProto, value: float) -> bool:
    return any(_is_number(graph, name, value) for name in node.input)


def _only_reader(graph: Graph, node: NodeProto) -> NodeProto | None:
    """Return what alone reads a node's result, None where it is an output as well."""
    name = node.output[0]
    readers = graph.consumers.get(name, [])
    return readers[0] if len(readers) == 1 and name not in graph.output_names else None


def _computed(graph: Graph, node: NodeProto) -> str:
    """Return the first input that is no constant, "" where all are."""
    return next((name for name in node.input if name not in graph.weights), "")


def _is_number(graph: Graph, name: str, value: float) -> bool:
    constant = graph.weights.get(name)
    return constant is not None and constant.size == 1 and bool(np.isclose(constant, value, 1e-3))
