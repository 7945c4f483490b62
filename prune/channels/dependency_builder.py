"""The dependency graph of an ONNX model, made by one pass over its operators."""

from __future__ import annotations

from onnx import NodeProto

from ...core.graphs.graph import Graph
from .blocks import find_blocks
from .channel_rules import RULES
from .dependency_graph import DependencyGraph


def build_dependency_graph(graph: Graph) -> DependencyGraph:
    """Return the dependency graph of a model, whose inputs and outputs are frozen."""
    dependency = DependencyGraph(graph)
    for name in graph.input_names:
        dependency.freeze_output(name)
    for node in graph.nodes:
        rule = RULES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        if rule is None or not _is_plain(dependency, node):
            dependency.freeze_node(node)
        else:
            rule(dependency, node)
    for name in graph.output_names:
        dependency.freeze_tensor(name)
    for block in find_blocks(graph):
        dependency.blocks[int(dependency.atoms.make(1)[0])] = block
    return dependency


def _is_plain(dependency: DependencyGraph, node: NodeProto) -> bool:
    """Return whether all shapes are known and, but for Split, there is only one output."""
    shapes = dependency.graph.shapes
    outputs = [name for name in node.output if name]
    has_shapes = all(name in shapes for name in [*filter(None, node.input), *outputs])
    empty = any(0 in shapes.get(name, ()) for name in [*node.input[:1], *outputs])
    return has_shapes and not empty and (len(outputs) == 1 or node.op_type == "Split")
