"""What an output joins, and which of its parts would be left with too few steps of int8.

A Concat stores all its parts in one scale. Boxes of 0 to 640 pixels make its step 2.5, so scores
of 0 to 1 all become 0 and nothing says so. Measured with rknn-toolkit2 2.5.0 (rk3588, simulator,
12,800 scores beside boxes): boxes up to 640 leave no score above 0; up to 80, 4 levels and an error
of up to 0.19; up to 32, 9 levels and 0.11; up to 16, 17 levels and 0.07, which is what the other
layers' rounding costs anyway (0.06 with boxes up to 8).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from onnx import NodeProto

from ..types import Range
from .graph import Graph

# below 3 bits a part's own rounding is plainly larger than that of the layers before it
FEWEST_STEPS = 8
STEPS = 255
# these only move values: what comes out has the scale of what went in
MOVING = (
    "MaxPool GlobalMaxPool Reshape Flatten Squeeze Unsqueeze Transpose Slice Split DepthToSpace "
    "SpaceToDepth Identity Tile Expand"
).split()
# the order or the shape changes, but every value of the input is there
RESHAPING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")
WHOLE = (
    *(*RESHAPING, "Transpose", "Identity", "Dropout", "Cast"),
    *("QuantizeLinear", "DequantizeLinear"),
)
# with a constant, these scale each value where it is
ARITHMETIC = ("Mul", "Div", "Add", "Sub")


def output_joins(graph: Graph) -> dict[str, NodeProto]:
    """Return output -> the Concat whose values it holds, in whatever shape; each Concat once."""
    joins: dict[str, NodeProto] = {}
    for output in graph.output_names:
        node = join_before(graph, output)
        if node is not None and node not in joins.values():
            joins[output] = node
    return joins


def join_before(graph: Graph, name: str) -> NodeProto | None:
    """Return the Concat whose values are those of this tensor, in whatever shape."""
    return followed_back(graph, name)[0]


def followed_back(
    graph: Graph, name: str, through: Collection[str] = WHOLE
) -> tuple[NodeProto | None, list[NodeProto]]:
    """Return the Concat that a tensor's values come from, None for none, and the moves since.

    ``through`` are the types of operators that are followed.
    """
    moves: list[NodeProto] = []
    node = graph.producers.get(name)
    while node is not None and node.op_type != "Concat":
        source = source_of(graph, node) if node.op_type in through else None
        if source is None:
            return None, moves
        moves.append(node)
        node = graph.producers.get(source)
    return node, moves[::-1]


def source_of(graph: Graph, node: NodeProto) -> str | None:
    """Return the tensor whose values a node moves, or scales place by place; None for others."""
    if node.op_type in WHOLE:
        return str(node.input[0])
    if node.op_type not in ARITHMETIC:
        return None
    computed = [name for name in node.input if not graph.is_weight(name)]
    same = len(computed) == 1 and graph.shapes.get(computed[0]) == graph.shapes.get(node.output[0])
    return computed[0] if same else None


def joined_tensors(graph: Graph, node: NodeProto) -> Iterator[str]:
    """Yield what a Concat joins, joins inside the join taken apart; no constants."""
    for name in node.input:
        inner = join_before(graph, name)
        if inner is not None:
            yield from joined_tensors(graph, inner)
        elif not graph.is_weight(name):
            yield name


def last_readers(graph: Graph, name: str, logits: Collection[str] = ()) -> Iterator[str]:
    """Yield the types of the operators that read a tensor in the end, however moved and joined.

    An output of the model, itself or moved, is read by "output", or by a Sigmoid on the host if it
    is one of the ``logits``.
    """
    if name in graph.output_names:
        yield "Sigmoid" if name in logits else "output"
    for node in graph.consumers.get(name, []):
        if node.op_type not in (*MOVING, "Concat"):
            yield node.op_type
            continue
        for output in node.output:
            yield from last_readers(graph, output, logits)


def joint_step(ranges: Iterable[Range]) -> float:
    """Return the step of int8 in the one scale that covers all of these ranges.

    >>> joint_step([(0.0, 510.0), (0.0, 1.0)])
    2.0
    """
    lows, highs = zip(*ranges, strict=True)
    return float(max(0.0, *highs) - min(0.0, *lows)) / STEPS


def is_starved(part: Range, step: float) -> bool:
    """Return whether a part that is not constant has fewer than 8 of these steps.

    >>> is_starved((0.0, 1.0), 2.0), is_starved((0.0, 32.0), 2.0)
    (True, False)
    """
    return 0 < part[1] - part[0] < FEWEST_STEPS * step
