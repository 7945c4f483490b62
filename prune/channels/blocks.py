"""Residual blocks that can be removed whole, so that only the skip connection is left.

On a chip a layer costs time however narrow it is, so a network that is narrow already becomes
faster by fewer layers, not by fewer channels. The layer before a block is refitted to give what
the block's sum gave, as far as it can. That such a network can do without a block goes back to
Veit, Wilber and Belongie, "Residual Networks Behave Like Ensembles of Relatively Shallow Networks",
NIPS 2016 (arXiv:1605.06431).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from onnx import ModelProto, NodeProto

from ...core.graphs.dense import DenseLayer, dense_layers
from ...core.graphs.graph import Graph, free_name, read_by, replace_nodes
from ...core.graphs.layers import layer_of
from .model_diff import residual_sum


@dataclass(frozen=True)
class Block:
    """A residual Add and all that only its branch needs.

    Without it, the node that gives the tensor ``source`` gives ``total`` instead, the result of the
    Add, or of the Relu after it where the source is rectified already; ``inner`` are the tensors
    that nothing gives any more. ``layers`` has the names of each of the block's layers, that of its
    node and that of its weight.
    """

    name: str
    source: str
    total: str
    inner: frozenset[str]
    layers: tuple[frozenset[str], ...]


def find_blocks(graph: Graph) -> list[Block]:
    """Return all blocks that can be removed, in the order of the graph.

    Nothing but the block may read its source: other readers would get the refitted tensor.
    """
    blocks: list[Block] = []
    taken: set[str] = set()
    for add in graph.nodes:
        if add.op_type == "Add" and len(set(add.input)) == 2:
            for skip, branch in (add.input, reversed(add.input)):
                if (block := _block(graph, add, skip, branch, taken)) is not None:
                    blocks.append(block)
                    taken.add(block.name)
                    break
    return blocks


def _block(graph: Graph, add: NodeProto, skip: str, branch: str, taken: set[str]) -> Block | None:
    total = add.output[0]
    same = graph.shapes.get(skip) == graph.shapes.get(total) is not None
    nodes = _between(graph, skip, branch) if same and skip in graph.producers else None
    if nodes is None:
        return None
    inner = {name for node in nodes for name in node.output if name}
    after = graph.consumers.get(total, [])
    if graph.producers[skip].op_type == "Relu" and [node.op_type for node in after] == ["Relu"]:
        # what is rectified already is not rectified again
        inner, total = {*inner, total}, after[0].output[0]
    outputs = set(graph.output_names)
    own = {*inner, total}
    readers = (node for name in {skip, *inner} for node in graph.consumers.get(name, []))
    needed = {skip, *inner} & outputs or any(not own.issuperset(node.output) for node in readers)
    layers = [
        node
        for node in nodes
        if layer_of(graph, node) is not None and graph.is_weight(node.input[1])
    ]
    if needed or not layers:
        return None
    names = tuple(frozenset(filter(None, (node.name, node.input[1]))) for node in layers)
    name = free_name(f"block of {layers[-1].input[1]}", taken)
    return Block(name, skip, total, frozenset(inner), names)


def _between(graph: Graph, skip: str, branch: str) -> list[NodeProto] | None:
    """Return the nodes between two tensors, in order; None if they read the model's inputs."""
    reached: dict[str, NodeProto] = {}
    pending, meets = [branch], False
    while pending:
        name = pending.pop()
        if name == skip:
            meets = True
        elif name in graph.producers:
            node = graph.producers[name]
            if name not in reached:
                reached.update({output: node for output in node.output})
                pending.extend(read_by(node))
        elif name not in graph.weights:
            return None
    return [node for node in graph.nodes if node.output[0] in reached] if meets else None


def stand_in_layer(graph: Graph, block: Block) -> tuple[DenseLayer, str] | None:
    """Return the layer that can be refitted to give a block's total, and the tensor added to it.

    It is the layer whose result is the block's source, or is added to another tensor to give it
    ("" where there is none); None when there is no such layer.
    """
    for layer in dense_layers(graph):
        total, other = residual_sum(graph, layer)
        if block.source in (layer.y, total):
            return layer, other
    return None


def remove_blocks(model: ModelProto, blocks: Iterable[Block]) -> None:
    """Remove blocks, in the order of the graph, from a model or from a part of it that has them.

    The weights that nothing reads any more stay.
    """
    nodes = list(model.graph.node)
    for block in blocks:
        nodes = [
            node for node in nodes if not {*block.inner, block.total}.intersection(node.output)
        ]
        for node in nodes:
            renamed = [block.total if name == block.source else name for name in node.output]
            node.output[:] = renamed
    replace_nodes(model.graph, nodes)
