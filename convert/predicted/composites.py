"""Functions that a graph spells out in several operators and the compiler knows as a whole."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import NodeProto

from ...core.graphs.graph import Graph
from ..audit.operator_audit import leaves_npu
from ..chips.targets import Target
from .fused_operator import FusedOperator

_SCALING = ("Mul", "Div", "Add", "Sub", "Where")
_MOVES = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Cast", "Expand")
_NORM_BEFORE = ("Add", "ReduceMean", "Pow", "Mul", "Sub")
_LONGEST = 6  # operators between the scores of an attention and their Softmax


def composites(graph: Graph, target: Target) -> list[FusedOperator]:
    """Return what several operators are together: swish, GELU, normalisation, attention.

    Sigmoid linear units are exSwish, layer normalisations exNorm, and attention exSDPAttention, as
    in the table of rknn-toolkit2 2.5.0. Where a Softmax runs on the CPU, attention stays in parts.
    """
    matched: list[FusedOperator] = []
    taken: set[str] = set()
    for node in graph.nodes:
        matcher = _MATCHERS.get(node.op_type)
        if node.op_type == "Softmax" and leaves_npu(graph, node, target, "float16"):
            continue
        operator = matcher(graph, node) if matcher else None
        outputs = {name for each in operator.nodes for name in each.output} if operator else set()
        if operator and not outputs & taken:
            matched.append(operator)
            taken |= outputs
    return matched


def _product_with(graph: Graph, node: NodeProto, x: str) -> NodeProto | None:
    """Return the Mul by ``x`` that alone reads a node's result."""
    readers = graph.consumers.get(node.output[0], [])
    if len(readers) == 1 and readers[0].op_type == "Mul" and x in readers[0].input:
        return readers[0]
    return None


def _swish(graph: Graph, node: NodeProto) -> FusedOperator | None:
    """x * sigmoid(x), or x * sigmoid(1.702 x); x * hardsigmoid(x)."""
    x, scaling = _unscaled(graph, node.input[0])
    product = _product_with(graph, node, node.input[0])
    if product is None and scaling:
        product = _product_with(graph, node, x)
    else:
        x, scaling = node.input[0], []
    name = "exSwish" if node.op_type == "Sigmoid" else "HardSwish"
    if product is None:
        return None
    return FusedOperator(name, (*scaling, node, product), (x,), tuple(product.output))


def _unscaled(graph: Graph, name: str) -> tuple[str, list[NodeProto]]:
    """Return what a tensor was before a product with one constant number, and that product."""
    node = graph.producers.get(name)
    if node is None or node.op_type not in ("Mul", "Div"):
        return name, []
    constants = [n for n in node.input if n in graph.weights and graph.weights[n].size == 1]
    others = [n for n in node.input if n not in constants]
    alone = len(graph.consumers.get(name, [])) == 1
    return (others[0], [node]) if constants and others and alone else (name, [])


def _spelt_hard_swish(graph: Graph, node: NodeProto) -> FusedOperator | None:
    """x * clip(x + 3, 0, 6) / 6, in either order of the last two."""
    before = graph.producers.get(node.input[0])
    if before is None or before.op_type != "Add":
        return None
    x = next((name for name in before.input if not graph.is_weight(name)), "")
    chain = [before, node, *_readers(graph, node, ("Mul", "Div"), 2)]
    if len(chain) < 4 or not any(x in member.input for member in chain[2:]):
        return None
    return FusedOperator("HardSwish", tuple(chain), (x,), tuple(chain[-1].output))


def _gelu(graph: Graph, node: NodeProto) -> FusedOperator | None:
    before = graph.producers.get(node.input[0])
    chain = _readers(graph, node, ("Add", "Mul"), 3)
    if before is None or before.op_type not in ("Mul", "Div") or len(chain) < 2:
        return None
    x = next((name for name in before.input if not graph.is_weight(name)), "")
    halves = [n for n in graph.consumers.get(x, []) if n.op_type == "Mul" and n is not before]
    nodes = [before, node, *chain]
    nodes += [half for half in halves if half not in nodes and half.output[0] in chain[1].input]
    return FusedOperator("Gelu", tuple(nodes), (x,), tuple(chain[-1].output))


def _readers(graph: Graph, node: NodeProto, types: tuple[str, ...], most: int) -> list[NodeProto]:
    """Return the operators of some types that follow one another, each the only reader."""
    chain: list[NodeProto] = []
    while len(chain) < most:
        readers = graph.consumers.get(node.output[0], [])
        if len(readers) != 1 or readers[0].op_type not in types:
            break
        node = readers[0]
        chain.append(node)
    return chain


def _norm(graph: Graph, node: NodeProto) -> FusedOperator | None:
    """(x - mean) / sqrt(mean of squares + epsilon) * scale + shift; anchored at its root."""
    before = list(_makers(graph, node))
    if not any(member.op_type == "ReduceMean" for member in before):
        return None
    after = _readers(graph, node, ("Div", "Mul", "Add"), 3)
    inner = {name for member in before for name in member.output}
    x = [n for m in before for n in m.input if n not in inner and not graph.is_weight(n)]
    if not after or not x:
        return None
    nodes = (*reversed(before), node, *after)
    return FusedOperator("exNorm", nodes, (x[-1],), tuple(after[-1].output))


def _makers(graph: Graph, node: NodeProto) -> Iterator[NodeProto]:
    for name in node.input:
        maker = graph.producers.get(name)
        if maker is not None and maker.op_type in _NORM_BEFORE:
            yield maker
            if maker.op_type == "Sub":
                mean = graph.producers.get(maker.input[1])
                if mean is not None and mean.op_type == "ReduceMean":
                    yield mean
                return
            yield from _makers(graph, maker)
            return


def _attention(graph: Graph, node: NodeProto) -> FusedOperator | None:
    """Anchored at the Softmax: back to the product of scores, on to the weighted sum."""
    between, maker = list[NodeProto](), graph.producers.get(node.input[0])
    while maker is not None and maker.op_type in (*_SCALING, *_MOVES) and len(between) < _LONGEST:
        between.append(maker)
        maker = next((graph.producers[n] for n in maker.input if n in graph.producers), None)
    after = _readers(graph, node, ("MatMul", *_MOVES), 2)
    after = after[:1] if after and after[0].op_type == "MatMul" else after
    if maker is None or maker.op_type != "MatMul" or not after or after[-1].op_type != "MatMul":
        return None
    if graph.is_weight(maker.input[1]) or any(map(graph.is_weight, after[-1].input)):
        return None
    probabilities = after[-2].output[0] if len(after) > 1 else node.output[0]
    values = [name for name in after[-1].input if name != probabilities]
    (query, scaled), (key, scaled_too) = (_unscaled(graph, name) for name in maker.input)
    reads = (query, key, *values)
    nodes = (*scaled, *scaled_too, maker, *reversed(between), node, *after)
    return FusedOperator("exSDPAttention", nodes, reads, tuple(after[-1].output))


_MATCHERS = {
    "Sigmoid": _swish,
    "HardSigmoid": _swish,
    "Clip": _spelt_hard_swish,
    "Erf": _gelu,
    "Sqrt": _norm,
    "Softmax": _attention,
}
