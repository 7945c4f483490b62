"""Walks an ONNX graph once, operator by operator, and gives its dependency graph."""

from __future__ import annotations

from onnx import NodeProto

from ...core.graphs.graph import Graph
from .blocks import find_blocks
from .channel_rules import RULES
from .dependency_graph import Dependency


def build_dependency_graph(graph: Graph) -> Dependency:
    """Walk the graph once and unite what belongs together. Inputs and outputs are frozen."""
    dependency = Dependency(graph)
    for name in graph.input_names:
        dependency.frozen_output(name)
    for node in graph.nodes:
        rule = RULES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        if rule is None or not _is_plain(dependency, node):
            dependency.freeze_node(node)
        else:
            rule(dependency, node)
    for name in graph.output_names:
        dependency.freeze_tensor(name)
    for block in find_blocks(graph):
        dependency.blocks[int(dependency.atoms.fresh(1)[0])] = block
    return dependency


def _is_plain(dependency: Dependency, node: NodeProto) -> bool:
    """Whether all shapes are known and, but for Split, there is only one output."""
    shapes = dependency.graph.shapes
    outputs = [name for name in node.output if name]
    known = all(name in shapes for name in [*filter(None, node.input), *outputs])
    empty = any(0 in shapes.get(name, ()) for name in [*node.input[:1], *outputs])
    return known and not empty and (len(outputs) == 1 or node.op_type == "Split")
