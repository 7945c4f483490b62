"""The branches of a network that only scores come from, beside others that give something else.

A detector's classes have layers of their own behind those that boxes are computed from too. What
they give is large where something is found: rarely, so that the range of least error cuts off just
that, and every score becomes smaller. On a YOLOv8n 74 boxes were left of 125 so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from onnx import NodeProto

from .graph import Graph, read_by
from .joins import MOVING

_SCORE, _OTHER = "score", "other"
_MOVING = (*MOVING, "Concat")
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def score_branches(
    graph: Graph, is_open: Callable[[str], bool], logits: Collection[str] = ()
) -> set[str]:
    """Return the tensors that a last Sigmoid alone is computed from, where others are not.

    A Sigmoid is last where no layer comes after it, as in the model's scores and not in its gates;
    the outputs named by ``logits`` are read by one on the host. ``is_open`` tells of logits whether
    they may become larger than was seen: without that a branch is as any other. Nothing is returned
    where the inputs themselves lead to scores alone, as nothing is beside these.
    """
    ends: dict[str, set[str]] = {name: {_OTHER} for name in graph.output_names}
    ends |= {name: {_SCORE} for name in logits if name in ends and is_open(name)}
    before_layers = _before_layers(graph)
    for node in reversed(graph.nodes):
        is_before_layers = bool(before_layers.intersection(node.output))
        reached = _reached(node, ends, is_before_layers, is_open)
        for name in read_by(node):
            ends.setdefault(name, set()).update(reached)
    return {name for name in _behind_forks(graph, ends) if ends.get(name) == {_SCORE}}


def score_layers(graph: Graph, logits: Collection[str] = ()) -> set[str]:
    """Return the results of the last layers of such branches, whose values are the logits.

    From there to the Sigmoid, or to the outputs named by ``logits``, values are only moved.
    """
    branches, inner = score_branches(graph, lambda _: True, logits), _before_layers(graph)

    def are_logits(name: str) -> bool:
        readers = graph.consumers.get(name, [])
        return (bool(readers) or name in logits) and all(map(leads_to_scores, readers))

    def leads_to_scores(node: NodeProto) -> bool:
        if node.op_type == "Sigmoid":
            return inner.isdisjoint(node.output)
        read = (name for name in node.output if name in graph.consumers or name in logits)
        return node.op_type in _MOVING and all(map(are_logits, read))

    layers = (node.output[0] for node in graph.nodes if node.op_type in _WEIGHTED)
    return {name for name in layers if name in branches and are_logits(name)}


def _before_layers(graph: Graph) -> set[str]:
    """Return the tensors that a layer comes after."""
    before: set[str] = set()
    for node in reversed(graph.nodes):
        if node.op_type in _WEIGHTED or before.intersection(node.output):
            before.update(read_by(node))
    return before


def _behind_forks(graph: Graph, ends: dict[str, set[str]]) -> set[str]:
    """Return what is computed from tensors that lead to scores and to others."""
    behind: set[str] = set()
    for node in graph.nodes:
        if any(name in behind or len(ends.get(name, ())) > 1 for name in read_by(node)):
            behind.update(node.output)
    return behind


def _reached(
    node: NodeProto,
    ends: dict[str, set[str]],
    is_before_layers: bool,
    is_open: Callable[[str], bool],
) -> set[str]:
    """Return what comes of the inputs of a node in the end."""
    if node.op_type == "Sigmoid" and not is_before_layers:
        return {_SCORE if is_open(node.input[0]) else _OTHER}
    return {kind for name in node.output for kind in ends.get(name, ())}
