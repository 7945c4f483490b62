"""Parts of attention graphs that are left in float, so that the compiler survives them.

rknn-toolkit2 (2.3.2 and 2.5.0) joins MatMul, Softmax and MatMul into one operator, and those of a
LayerNorm too; where some tensors of such a part are quantized and others are not, it crashes. It
never did when everything from the first such part to the last was left in float. That is done where
it costs little; otherwise only what the Softmax is about, the attention core, is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import prod

from onnx import NodeProto

from ...core.graphs.graph import Graph
from ...core.graphs.joins import MOVING

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_SCALING = ("Mul", "Div", "Add")
# Of the work of all layers with weights. On PP-OCRv4 rec the attention blocks are 1 % of it, and
# leaving them in float costs 1 % more cycles than leaving the cores; a network of nothing else
# would gain nothing from int8.
_LARGEST_SHARE = 0.25


def floating_tensors(graph: Graph) -> set[str]:
    """Return the tensors that must not be quantized; empty for a graph without attention."""
    cores = {name for core in _cores(graph) for name in core}
    if not cores:
        return set()
    numbers = {name: number for number, node in enumerate(graph.nodes) for name in node.output}
    norms = {name for norm in _layer_norms(graph) for name in norm}
    involved = [numbers[name] for name in cores | norms | set(_projected(graph, cores))]
    blocks = graph.nodes[min(involved) : max(involved) + 1]
    whole = {name for node in blocks for name in node.output}
    whole |= set(moved(graph, whole))
    return whole if _share(graph, whole) <= _LARGEST_SHARE else cores


def _cores(graph: Graph) -> Iterator[set[str]]:
    """Yield scores, probabilities and result of every attention, and what is moved from them."""
    for node in graph.nodes:
        if node.op_type != "Softmax":
            continue
        odds = {node.output[0], *moved(graph, node.output)}
        readers = [reader for name in odds for reader in graph.consumers.get(name, [])]
        readers = [reader for reader in readers if reader.op_type not in MOVING]
        if len(readers) != 1 or readers[0].op_type != "MatMul":
            continue
        result = readers[0]
        if any(graph.is_weight(name) for name in result.input):
            continue  # no attention, but the expected value of a distribution
        scores, product = _back_to_product(graph, node)
        roots = [*result.input, *(product.input if product is not None else ())]
        core = {*scores, *odds, result.output[0]}
        core |= {name for root in roots for name in _moved_into(graph, root)}
        yield core | set(moved(graph, [result.output[0]]))


def _projected(graph: Graph, cores: set[str]) -> Iterator[str]:
    """Yield what layers with weights make of the result of an attention."""
    for name in cores:
        for reader in graph.consumers.get(name, []):
            if reader.op_type in WEIGHTED and reader.input[0] == name:
                yield reader.output[0]


def _back_to_product(graph: Graph, softmax: NodeProto) -> tuple[list[str], NodeProto | None]:
    """Return the scores, from a Softmax back to the MatMul that computes them, and that MatMul."""
    names = [softmax.input[0]]
    node = graph.producers.get(names[0])
    while node is not None and node.op_type in (*_SCALING, *MOVING):
        names.append(next((name for name in node.input if name in graph.producers), ""))
        node = graph.producers.get(names[-1])
    product = node if node is not None and node.op_type == "MatMul" else None
    return [name for name in names if name], product


def _moved_into(graph: Graph, name: str) -> Iterator[str]:
    """Yield a tensor and those that it was only moved or scaled from, up to what computes them."""
    node = graph.producers.get(name)
    if node is None or node.op_type not in (*_SCALING, *MOVING):
        return
    yield name
    inputs = node.input[:1] if node.op_type in MOVING else node.input
    for source in inputs:
        yield from _moved_into(graph, source)


def moved(graph: Graph, names: Iterable[str]) -> Iterator[str]:
    """Yield what is only moved from these tensors, however often."""
    for name in names:
        for reader in graph.consumers.get(name, []):
            if reader.op_type in MOVING and reader.input[0] == name:
                yield from reader.output
                yield from moved(graph, reader.output)


def _layer_norms(graph: Graph) -> Iterator[set[str]]:
    """Yield the tensors of every layer normalisation, whether one operator or spelt out in nine."""

    def makers(node: NodeProto) -> Iterator[NodeProto]:
        return (graph.producers[name] for name in node.input if name in graph.producers)

    def readers(node: NodeProto) -> Iterator[NodeProto]:
        return iter(graph.consumers.get(node.output[0], []))

    for node in graph.nodes:
        if node.op_type == "LayerNormalization":
            yield {node.output[0]}
        elif node.op_type == "Sqrt":
            before = _chain(node, "Add ReduceMean Pow Mul Transpose Sub ReduceMean", makers)
            after = _chain(node, "Div Mul Add", readers)
            if any(member.op_type == "ReduceMean" for member in before):
                yield {member.output[0] for member in (*before, node, *after)}


def _chain(
    node: NodeProto, types: str, neighbours: Callable[[NodeProto], Iterator[NodeProto]]
) -> list[NodeProto]:
    """Return the nodes behind each other while they are of these types; any may be missing."""
    chain: list[NodeProto] = []
    for op_type in types.split():
        fitting = (other for other in neighbours(node) if other.op_type == op_type)
        if (following := next(fitting, None)) is not None:
            chain.append(following)
            node = following
    return chain


def _share(graph: Graph, tensors: set[str]) -> float:
    """Return the part of all multiplications with weights that computes these tensors."""
    inside = total = 0
    for node in graph.nodes:
        weight = graph.weights.get(node.input[1]) if len(node.input) > 1 else None
        shape = graph.shapes.get(node.output[0])
        if weight is None or shape is None or node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        channels = weight.shape[0] if node.op_type == "Conv" else shape[-1]
        work = prod(shape) * weight.size // channels
        total += work
        inside += work if node.output[0] in tensors else 0
    return inside / total if total else 0.0
