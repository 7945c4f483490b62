"""Take apart again what a graph joins, moves and then splits where it was joined.

Detectors export their heads so: boxes and scores of each scale are joined, flattened, the scales
joined, and both split again. Each of the two can go its own way. That keeps a scale for each in
int8, and a YOLOv8n of 320 pixels with its last part in float16 takes an estimated 6.07 ms on RK3588
where it was 7.99: a reshape of the whole ran on the CPU.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import prod

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from ..graphs.graph import (
    Graph,
    attributes,
    constant_value,
    drop_unread,
    free_name,
    read_by,
    refill,
    replace_nodes,
)
from ..types import Array, Shape


@dataclass(frozen=True)
class Piece:
    """What a Split or a Slice takes of a tensor along one axis, from ``start`` to ``stop``."""

    node: NodeProto
    output: str
    axis: int
    start: int
    stop: int


def untangle(model: ModelProto) -> bool:
    """Change a model whose shapes are inferred, in place; return whether anything was changed.

    Values and the names of outputs stay; the shapes of new tensors are still to be inferred. What
    is joined is followed through Reshape, Transpose, Squeeze, Unsqueeze and joins along other axes,
    as long as nothing else reads it.
    """
    is_changed = False
    while _untangle_first(model):
        is_changed = True
    return is_changed


def _untangle_first(model: ModelProto) -> bool:
    graph = Graph(model)
    return any(_untangled(model, graph, name) for name in graph.producers)


def _untangled(model: ModelProto, graph: Graph, tensor: str) -> bool:
    pieces = _pieces(graph, tensor)
    if not pieces or tensor in graph.output_names:
        return False
    axis, size = pieces[0].axis, graph.shapes[tensor][pieces[0].axis]
    joints = {
        joint
        for joint in _joints(graph, tensor, axis)
        if not any(piece.start < joint < piece.stop for piece in pieces)
    }
    groups = [
        [piece for piece in pieces if start <= piece.start < stop]
        for start, stop in pairwise([0, *sorted(joints), size])
    ]
    if len([group for group in groups if group]) < 2:
        return False
    builder = _Untangler(graph)
    for (start, stop), group in zip(pairwise([0, *sorted(joints), size]), groups, strict=True):
        if group:
            builder.add(tensor, Piece(group[0].node, "", axis, start, stop), group)
    builder.finish(model, {piece.output for piece in pieces})
    return True


def _pieces(graph: Graph, tensor: str) -> list[Piece]:
    """Return what the readers of a tensor take of it; [] unless all take parts along one axis."""
    if tensor not in graph.shapes:
        return []
    pieces = []
    for node in graph.consumers.get(tensor, []):
        taken = list(_taken(graph, node, graph.shapes[tensor]))
        if not taken or tensor in node.input[1:]:
            return []
        pieces.extend(taken)
    return pieces if len({piece.axis for piece in pieces}) == 1 else []


def _taken(graph: Graph, node: NodeProto, shape: Shape) -> Iterator[Piece]:
    if node.op_type == "Split" and all(name in graph.shapes for name in node.output):
        axis = attributes(node).get("axis", 0) % len(shape)
        sizes = [graph.shapes[name][axis] for name in node.output]
        for output, (start, stop) in zip(node.output, pairwise(_offsets(sizes)), strict=True):
            yield Piece(node, output, axis, start, stop)
    if node.op_type == "Slice":
        starts, stops, axes, steps = (constant_value(graph, node, i) for i in (1, 2, 3, 4))
        if starts is None or stops is None or axes is None or starts.size != 1:
            return
        if len(node.input) > 4 and node.input[4] and (steps is None or steps.item() != 1):
            return
        axis = int(axes.item()) % len(shape)
        start, stop, _ = slice(int(starts.item()), int(stops.item())).indices(shape[axis])
        if start < stop:
            yield Piece(node, node.output[0], axis, start, stop)


def _offsets(sizes: Sequence[int]) -> list[int]:
    return [0, *accumulate(sizes)]


def _joints(graph: Graph, tensor: str, axis: int) -> set[int]:
    """Return the places along an axis at which a tensor is joined of parts."""
    node = graph.producers.get(tensor)
    if node is None:
        return set()
    if node.op_type == "Concat" and all(name in graph.shapes for name in node.input):
        rank = len(graph.shapes[tensor])
        if attributes(node)["axis"] % rank == axis:
            return set(_offsets([graph.shapes[name][axis] for name in node.input])[1:-1])
        if not all(_is_read_once(graph, name) for name in node.input):
            return set()
        return set.intersection(*(_joints(graph, name, axis) for name in node.input))
    before = _axis_before(graph, node, axis)
    if before is None or not _is_read_once(graph, node.input[0]):
        return set()
    return _joints(graph, node.input[0], before)


def _is_read_once(graph: Graph, name: str) -> bool:
    readers = graph.consumers.get(name, [])
    is_single = len(readers) == 1 and list(readers[0].input).count(name) == 1
    return is_single and name not in graph.output_names


def _axis_before(graph: Graph, node: NodeProto, axis: int) -> int | None:
    """Return the axis of a moving node's input that is ``axis`` of its output; None if none is."""
    if node.op_type == "Transpose":
        rank = len(graph.shapes[node.output[0]])
        permutation = attributes(node).get("perm", list(range(rank))[::-1])
        return int(permutation[axis])
    if node.op_type not in ("Reshape", "Flatten", "Squeeze", "Unsqueeze"):
        return None
    before, after = graph.shapes.get(node.input[0]), graph.shapes.get(node.output[0])
    if before is None or after is None:
        return None
    for other, size in enumerate(before):
        if size == after[axis] and prod(before[:other]) == prod(after[:axis]):
            return other
    return None


class _Untangler:
    """Makes the nodes that compute each group of pieces without the others."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._taken = set(graph.names)
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, Array] = {}
        self._renamed: dict[str, str] = {}

    def add(self, tensor: str, part: Piece, pieces: Sequence[Piece]) -> None:
        """Make the part, and the pieces of it under their names."""
        count = len(self._nodes)
        source = self._part(tensor, part.axis, part.start, part.stop)
        whole = [p for p in pieces if (p.start, p.stop) == (part.start, part.stop)]
        others = [piece for piece in pieces if piece not in whole]
        if len(whole) == 1 and not others and len(self._nodes) > count:
            self._nodes[-1].output[0] = whole[0].output
            return
        for piece in whole:
            if piece.output in self._graph.output_names:
                self._nodes.append(helper.make_node("Identity", [source], [piece.output]))
            self._renamed[piece.output] = source
        for node in {id(piece.node): piece.node for piece in others}.values():
            self._cut(source, part, [piece for piece in others if piece.node is node])

    def finish(self, model: ModelProto, made: Collection[str]) -> None:
        """Put the new nodes in the place of those that ``made`` these, and drop what is unread."""
        nodes = list(model.graph.node)
        gone = [index for index, node in enumerate(nodes) if set(node.output) & set(made)]
        nodes = [node for index, node in enumerate(nodes) if index not in gone]
        nodes[gone[0] : gone[0]] = self._nodes
        for node in nodes:
            node.input[:] = [self._renamed.get(name, name) for name in node.input]
        model.graph.initializer.extend(
            numpy_helper.from_array(value, name) for name, value in self._constants.items()
        )
        replace_nodes(model.graph, _read(nodes, self._graph.output_names))
        computed = {name for node in model.graph.node for name in node.output}
        known = [value for value in model.graph.value_info if value.name in computed]
        refill(model.graph.value_info, known)
        drop_unread(model)

    def _part(self, tensor: str, axis: int, start: int, stop: int) -> str:
        """Return the tensor that holds this part, from the parts that it was joined of."""
        graph, node = self._graph, self._graph.producers[tensor]
        if node.op_type == "Concat":
            sizes = [graph.shapes[name][axis] for name in node.input]
            if attributes(node)["axis"] % len(graph.shapes[tensor]) == axis:
                ends = zip(node.input, pairwise(_offsets(sizes)), strict=True)
                names = [name for name, (low, high) in ends if start <= low and high <= stop]
            else:
                names = [self._part(name, axis, start, stop) for name in node.input]
            return names[0] if len(names) == 1 else self._like(node, tensor, names)
        before = _axis_before(graph, node, axis)
        assert before is not None, f"{tensor} has no such part"
        source = self._part(node.input[0], before, start, stop)
        if node.op_type == "Transpose":
            return self._like(node, tensor, [source])
        shape = list(graph.shapes[tensor])
        shape[axis] = stop - start
        name = self._named(tensor)
        sizes_name = self._constant(name, np.array(shape, np.int64))
        self._nodes.append(helper.make_node("Reshape", [source, sizes_name], [name], name))
        return name

    def _like(self, node: NodeProto, tensor: str, inputs: Sequence[str]) -> str:
        name = self._named(tensor)
        copy = NodeProto.FromString(node.SerializeToString())
        copy.name, copy.input[:], copy.output[:] = name, inputs, [name]
        self._nodes.append(copy)
        return name

    def _cut(self, source: str, part: Piece, pieces: Sequence[Piece]) -> None:
        """Take pieces that are smaller than their part out of it, as it was done before."""
        node = pieces[0].node
        copy = NodeProto.FromString(node.SerializeToString())
        copy.output[:] = [piece.output for piece in pieces]
        if node.op_type == "Split":
            sizes = [piece.stop - piece.start for piece in pieces]
            constants = {1: np.array(sizes, np.int64)}
        else:
            offsets = [pieces[0].start - part.start, pieces[0].stop - part.start]
            constants = {at + 1: np.array([end], np.int64) for at, end in enumerate(offsets)}
        copy.input[0] = source
        refill(copy.attribute, [a for a in copy.attribute if a.name != "num_outputs"])
        for position, value in constants.items():
            name = self._constant(f"{pieces[0].output}/{position}", value)
            copy.input[position : position + 1] = [name]
        self._nodes.append(copy)

    def _named(self, tensor: str) -> str:
        name = free_name(f"{tensor}/part", self._taken)
        self._taken.add(name)
        return name

    def _constant(self, stem: str, value: Array) -> str:
        name = free_name(f"{stem}/sizes", self._taken)
        self._taken.add(name)
        self._constants[name] = value
        return name


def _read(nodes: Sequence[NodeProto], outputs: Sequence[str]) -> list[NodeProto]:
    """Return the nodes without those that nothing reads."""
    read, remaining = set(outputs), []
    for node in reversed(nodes):
        if not node.output or read.intersection(node.output):
            read.update(read_by(node))
            remaining.append(node)
    return remaining[::-1]
