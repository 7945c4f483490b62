"""Residual blocks that can be left out whole, so that what goes around them is all that is left.

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
from .model_diff import sum_of


@dataclass(frozen=True)
class Block:
    """A residual Add and all that only its branch needs.

    Without it, what makes the tensor ``source`` makes ``total`` instead, the result of the Add, or
    of the Relu after it where the source is rectified already; ``gone`` are the tensors that are no
    longer made. ``layers`` has the names of each of the block's layers, that of its node and that
    of its weight.
    """

    name: str
    source: str
    total: str
    gone: frozenset[str]
    layers: tuple[frozenset[str], ...]


def find_blocks(graph: Graph) -> list[Block]:
    """All blocks, in the order of the graph.

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
    inner = _between(graph, skip, branch) if same and skip in graph.producers else None
    if inner is None:
        return None
    gone = {name for node in inner for name in node.output if name}
    after = graph.consumers.get(total, [])
    if graph.producers[skip].op_type == "Relu" and [node.op_type for node in after] == ["Relu"]:
        # what is rectified already is not rectified again
        gone, total = {*gone, total}, after[0].output[0]
    outputs = set(graph.output_names)
    own = {*gone, total}
    read = (node for name in {skip, *gone} for node in graph.consumers.get(name, []))
    held = {skip, *gone} & outputs or any(not own.issuperset(node.output) for node in read)
    layers = [
        node
        for node in inner
        if layer_of(graph, node) is not None and graph.is_weight(node.input[1])
    ]
    if held or not layers:
        return None
    names = tuple(frozenset(filter(None, (node.name, node.input[1]))) for node in layers)
    name = free_name(f"block of {layers[-1].input[1]}", taken)
    return Block(name, skip, total, frozenset(gone), names)


def _between(graph: Graph, skip: str, branch: str) -> list[NodeProto] | None:
    """The nodes from one tensor to another, in order; None if they read the model's inputs."""
    found: dict[str, NodeProto] = {}
    wanted, meets = [branch], False
    while wanted:
        name = wanted.pop()
        if name == skip:
            meets = True
        elif name in graph.producers:
            node = graph.producers[name]
            if name not in found:
                found.update({output: node for output in node.output})
                wanted.extend(read_by(node))
        elif name not in graph.weights:
            return None
    return [node for node in graph.nodes if node.output[0] in found] if meets else None


def stand_in(graph: Graph, block: Block) -> tuple[DenseLayer, str] | None:
    """The layer that can be refitted to give the block's total, and what is added to its result.

    It is the one whose result is the block's source, or is added to another tensor to give it
    ("" where there is none).
    """
    for layer in dense_layers(graph):
        total, other = sum_of(graph, layer)
        if block.source in (layer.y, total):
            return layer, other
    return None


def leave_out(model: ModelProto, blocks: Iterable[Block]) -> None:
    """Take blocks, in the order of the graph, out of a model or of a part of it that has them.

    The weights that nothing reads any more stay.
    """
    nodes = list(model.graph.node)
    for block in blocks:
        nodes = [node for node in nodes if not {*block.gone, block.total}.intersection(node.output)]
        for node in nodes:
            renamed = [block.total if name == block.source else name for name in node.output]
            node.output[:] = renamed
    replace_nodes(model.graph, nodes)
