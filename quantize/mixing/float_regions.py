"""Stretches of a network that can be left in 16 bits together, and about what that costs in time.

What a layer in 16 bits shares with one in int8 is converted in between, and a conversion costs what
it moves. So single tensors are no good choices: a stretch is, whose borders are small. Operators
that the compiler joins, such as a convolution with its activation, are never torn apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from onnx import NodeProto

from ...core.graphs.graph import Graph
from ...core.graphs.layers import layer_of
from ..graph_parts.attention import WEIGHTED
from ..graph_parts.placement import FUSED, float_nodes, place
from .mixed_budget import NpuTime

_ACTIVATING = "Relu Clip LeakyRelu PRelu Sigmoid HardSigmoid HardSwish Tanh Elu Add Mul Div".split()
_LONGEST = 12  # operators in a stretch that neither begins nor ends the network


@dataclass(frozen=True)
class FusedBlock:
    """Operators that run as one: ``reads`` and ``writes`` are its outer tensors, no weights.

    ``extra_ms`` is how much longer it takes in 16 bits, 0 where it is in float anyway.
    """

    nodes: tuple[NodeProto, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    inner: tuple[str, ...]
    is_float: bool
    extra_ms: float


def fused_blocks(graph: Graph, time: NpuTime) -> list[FusedBlock]:
    """Return the operators of a prepared model in their order, those that run as one together."""
    floating = {node.output[0] for node in float_nodes(graph, place(graph))}
    members: dict[str, list[NodeProto]] = {}
    for node in graph.nodes:
        first = _joined_to(graph, node, members)
        members.setdefault(first, []).append(node)
        for name in node.output:
            members[name] = members[first]
    unique = {id(nodes): nodes for nodes in members.values()}
    return [_block(graph, nodes, floating, time) for nodes in unique.values()]


def _joined_to(graph: Graph, node: NodeProto, members: Mapping[str, list[NodeProto]]) -> str:
    """Return a tensor of the block that an activation belongs to, else what the node writes."""
    read = [str(name) for name in node.input if name and name not in graph.weights]
    blocks = {id(members[name]) for name in read if name in members}
    is_activating = node.op_type in _ACTIVATING and all(name in members for name in read)
    if not is_activating or len(blocks) != 1:
        return str(node.output[0])
    block = members[read[0]]
    if block[0].op_type not in WEIGHTED or any(name in graph.output_names for name in read):
        return str(node.output[0])
    return read[0]


def _block(
    graph: Graph, nodes: Sequence[NodeProto], floating: set[str], time: NpuTime
) -> FusedBlock:
    computed = {name for node in nodes for name in node.output if name}
    read = {name for node in nodes for name in node.input if name} - computed - graph.weights.keys()
    outer = {
        name
        for name in computed
        if name in graph.output_names
        or any(reader not in nodes for reader in graph.consumers.get(name, []))
    }
    is_float = any(node.output[0] in floating for node in nodes)
    extra = 0.0 if is_float else _extra_ms(graph, nodes[0], time)
    reads, writes, inner = (tuple(sorted(names)) for names in (read, outer, computed - outer))
    return FusedBlock(tuple(nodes), reads, writes, inner, is_float, extra)


def _extra_ms(graph: Graph, node: NodeProto, time: NpuTime) -> float:
    """Return what the 16 bits of a layer cost; of another operator twice the bytes it moves."""
    shape = layer_of(graph, node)
    if shape is not None:
        return time.layer(shape, "float16") - time.layer(shape, "int8")
    return time.moved(graph.shapes.get(node.output[0], ())) / 2


class RegionPrices:
    """What it costs to leave tensors in 16 bits, in ms, without building anything."""

    def __init__(self, graph: Graph, blocks: Sequence[FusedBlock], time: NpuTime) -> None:
        self._blocks = blocks
        self._convert = {name: time.moved(shape) for name, shape in graph.shapes.items()}
        self._writer = {name: block for block in blocks for name in block.writes}
        self._readers: dict[str, list[FusedBlock]] = defaultdict(list)
        self._touching: dict[str, list[FusedBlock]] = defaultdict(list)
        for block in blocks:
            for name in block.reads:
                self._readers[name].append(block)
            for name in (*block.reads, *block.writes, *block.inner):
                self._touching[name].append(block)

    def ms(self, tensors: Iterable[str]) -> float:
        """Return how many more ms than with none of them in 16 bits, about."""
        wide = set(tensors)
        floating = {id(block) for name in wide for block in self._touching[name]}
        touched = [block for block in self._blocks if id(block) in floating]
        borders = {name for block in touched for name in (*block.reads, *block.writes)}
        extra = sum(block.extra_ms for block in touched)
        before = sum(self._conversions(name, set()) for name in borders)
        after = sum(self._conversions(name, floating) for name in borders - wide)
        return extra + after - before

    def _conversions(self, name: str, floating: set[int]) -> float:
        """Return the conversions of a tensor in int8: behind its writer and before its readers."""
        writer = self._writer.get(name)
        is_float = [block.is_float or id(block) in floating for block in self._readers[name]]
        cost = float(any(is_float))
        if writer is not None and (writer.is_float or id(writer) in floating):
            # the activation comes after the conversion, in int8 and on its own
            cost += 1.5 if writer.nodes[-1].op_type in FUSED else 1.0
        return self._convert.get(name, 0.0) * cost


def predicted_extra(graph: Graph, time: NpuTime) -> Callable[[frozenset[str]], float] | None:
    """Return what tells the ms that a choice adds to int8's, by the predicted layer tables."""
    predicted = time.predicted
    if predicted is None:
        return None
    known: dict[frozenset[str], float] = {}

    def ms(chosen: frozenset[str]) -> float:
        if chosen not in known:
            known[chosen] = predicted(graph, chosen)
        return known[chosen]

    return lambda chosen: ms(chosen) - ms(frozenset())


def regions_of(
    graph: Graph, blocks: Sequence[FusedBlock], groups: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, ...]]:
    """Yield the tensors inside every stretch of operators, without those at its borders.

    Stretches of up to some operators, and longer ones that begin or end the network. Tensors that
    share a scale (``groups``) are inside together or not at all.
    """
    readers: dict[str, set[int]] = defaultdict(set)
    writer: dict[str, int] = {}
    for index, block in enumerate(blocks):
        for name in block.reads:
            readers[name].add(index)
        for name in (*block.writes, *block.inner):
            writer[name] = index
    outputs, last = set(graph.output_names), len(blocks) - 1
    spans = [_span(members, writer, readers, outputs) for members in groups.values()]
    yielded = set()
    for start in range(last + 1):
        for end in range(start, last + 1):
            if end - start >= _LONGEST and start > 0 and end < last:
                continue
            inside = [
                name
                for (first, final), members in zip(spans, groups.values(), strict=True)
                if start <= first and final <= end
                for name in members
            ]
            if inside and tuple(inside) not in yielded:
                yielded.add(tuple(inside))
                yield tuple(inside)


def _span(
    members: Sequence[str],
    writer: Mapping[str, int],
    readers: Mapping[str, set[int]],
    outputs: set[str],
) -> tuple[int, int]:
    """Return the first and the last block that touch any of the tensors."""
    touching = [index for name in members for index in readers.get(name, ())]
    touching += [writer[name] for name in members if name in writer]
    return min(touching, default=0), max(touching, default=0)
