"""What the outputs of a model are made of: the tensors that were joined before them.

A detector gives boxes and scores in one tensor, which a Concat has joined. Any figure of the whole
is that of the boxes, whose values are a thousand times as large; so each part is judged alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto

from ..types import Array
from .graph import Graph, attributes
from .joins import ARITHMETIC, RESHAPING, WHOLE, followed_back, source_of

Places = NDArray[np.int64]

_CHANNEL_AXES = {"Conv": 1, "ConvTranspose": 1, "Gemm": -1, "MatMul": -1}
# operators after which the order of values depends on the values themselves
_RANKING = ("TopK", "NonMaxSuppression", "ArgMax", "ArgMin", "NonZero", "Unique")
_PROBABILITIES = ("Sigmoid", "Softmax", "HardSigmoid")
_STEP = 1 / 255  # of int8 over the 0 to 1 of a probability
_FAR_APART = 8  # times: in one scale of int8 the smaller values have few steps
_KIND_LENGTH = 4  # operators by which two tensors count as of one kind


@dataclass(frozen=True, eq=False)
class OutputPart:
    """Values of one output that come from one tensor, or from tensors of one kind.

    ``tensors`` are those that were joined; ``output`` counts the model's outputs, and
    ``output_name`` is what that is called. ``places`` are the flat places of the values in what
    one run gives of it, in rising order, None for all of it. Values that differ by no more than
    ``least_range`` say nothing: int8 has no step as small. ``is_ranked`` says that the order of the
    values depends on them, so that two models cannot be compared value by value.
    """

    tensors: tuple[str, ...]
    output: int
    output_name: str
    places: Places | None = None
    least_range: float = 0.0
    is_ranked: bool = False

    @property
    def name(self) -> str:
        """Return the first of the tensors, and how many more there are."""
        more = len(self.tensors) - 1
        return f"{self.tensors[0]} and {more} more" if more else self.tensors[0]

    def of(self, output: Array) -> Array:
        """Return the part's values of one run's output, or of one row of its batch, flat."""
        values: Array = output.reshape(-1)
        if self.places is not None:
            # the rows of a batch are all joined alike, so that each is as the first
            values = values[self.places[: np.searchsorted(self.places, values.size)]]
        return values


def whole_outputs(names: Sequence[str]) -> tuple[OutputPart, ...]:
    """Return outputs of which nothing more is known, each as one part."""
    return tuple(OutputPart((name,), index, name) for index, name in enumerate(names))


def parts_of(model: ModelProto) -> tuple[OutputPart, ...]:
    """Return the parts of every output of a model, in the order of the outputs.

    An output is taken apart along the axis of the Concat that it comes from, followed back through
    what only moves or scales its values, and along those of Concats that were only moved before
    that. So is one whose values a constant scales to sizes that lie far apart. Levels of one head,
    the same tensors at several resolutions, count as one part, and so do its classes.
    """
    graph = Graph(model)
    parts: list[OutputPart] = []
    for index, output in enumerate(graph.output_names):
        labels, tensors = _labels_of(graph, output)
        for number in dict.fromkeys(tensors.values()) if labels is not None else ():
            places = np.flatnonzero(labels == number)
            if len(places):
                names = [name for name, label in tensors.items() if label == number]
                parts.append(_part(graph, names, index, places))
        if labels is None:
            parts.append(_part(graph, [output], index))
    return tuple(parts)


def _part(
    graph: Graph, names: Sequence[str], index: int, places: Places | None = None
) -> OutputPart:
    kinds = [_kind(graph, name) for name in names]
    bounded = all(kind[:1] in [(operator,) for operator in _PROBABILITIES] for kind in kinds)
    ranked = any(_is_ranked(graph, name) for name in names)
    output, least_range = graph.output_names[index], _STEP if bounded else 0.0
    return OutputPart(tuple(names), index, output, places, least_range, is_ranked=ranked)


def _labels_of(graph: Graph, output: str) -> tuple[Array | None, dict[str, int]]:
    """Return a number for each value of an output, and the tensors with theirs; None: no join."""
    if output not in graph.shapes:
        return None, {}
    tensors: dict[str, int] = {}
    labels = _labelled(graph, output, tensors, (*WHOLE, *ARITHMETIC))
    if labels is not None and len(set(tensors.values())) > 1:
        return labels, tensors
    return _labels_of_scales(graph, output)


def _labels_of_scales(graph: Graph, output: str) -> tuple[Array | None, dict[str, int]]:
    """Return the same of an output whose values a constant brings to sizes that lie far apart."""
    moves: list[NodeProto] = []
    node = graph.producers.get(output)
    while node is not None and (source := source_of(graph, node)) is not None:
        shape = graph.shapes.get(node.output[0])
        sizes = _sizes_of_constant(graph, node)
        if sizes is not None and shape is not None and (edges := _gaps(sizes)).size:
            groups = np.searchsorted(edges, np.broadcast_to(sizes, shape)).astype(np.int32)
            names = {f"{output} (scale {n + 1} of {len(edges) + 1})": n for n in np.unique(groups)}
            return _moved(graph, groups, moves[::-1]), names
        moves.append(node)
        node = graph.producers.get(source)
    return None, {}


def _sizes_of_constant(graph: Graph, node: NodeProto) -> Array | None:
    if node.op_type not in ("Mul", "Div"):
        return None
    constant = next(graph.weights[name] for name in node.input if graph.is_weight(name))
    sizes: Array = np.abs(
        constant if node.op_type == "Mul" else 1 / np.where(constant, constant, 1)
    )
    return sizes


def _gaps(sizes: Array) -> Array:
    """Return what lies between sizes of which one is eight times the next smaller one."""
    ordered = np.unique(sizes[sizes > 0])
    wide = ordered[1:] >= _FAR_APART * ordered[:-1]
    middles: Array = np.sqrt(ordered[1:] * ordered[:-1])[wide]
    return middles


def _labelled(
    graph: Graph, name: str, tensors: dict[str, int], followed: Sequence[str] = WHOLE
) -> Array | None:
    """Return the number of the part that each value of a tensor belongs to; None: not known."""
    join, moves = followed_back(graph, name, followed)
    if join is None:
        if name not in graph.shapes:
            return None
        number = tensors.setdefault(name, len(set(tensors.values())))
        return np.full(graph.shapes[name], number, np.int32)
    pieces = [_labelled(graph, joined, tensors) for joined in join.input]
    labels = [piece for piece in pieces if piece is not None]
    if len(labels) < len(pieces):
        return None
    axis = attributes(join)["axis"]
    if _is_of_levels(graph, join, labels, tensors, axis):
        labels = _merged(labels, tensors)
    return _moved(graph, np.concatenate(labels, axis), moves)


def _moved(graph: Graph, values: Array, moves: Iterable[NodeProto]) -> Array | None:
    """Return values of a tensor as they lie after some moves; None where a shape is not known."""
    for node in moves:
        if node.op_type == "Transpose":
            values = values.transpose(attributes(node).get("perm"))
        elif node.op_type in RESHAPING:
            shape = graph.shapes.get(node.output[0])
            if shape is None or prod(shape) != values.size:
                return None
            values = values.reshape(shape)
    return values


def _is_of_levels(
    graph: Graph, join: NodeProto, pieces: Sequence[Array], tensors: dict[str, int], axis: int
) -> bool:
    """Return whether a Concat joins the same thing several times: levels, or single classes."""
    first, *others = ([_kind_of(graph, number, tensors) for number in _numbers(p)] for p in pieces)
    if any(other != first for other in others) or not first[0]:
        return False
    is_nested = len(first) > 1
    single = all(piece.shape[axis] == 1 for piece in pieces)
    return is_nested or single or all(_runs_over_positions(graph, n, axis) for n in join.input)


def _numbers(piece: Array) -> list[int]:
    return [int(number) for number in np.unique(piece)]


def _kind_of(graph: Graph, number: int, tensors: dict[str, int]) -> tuple[str, ...]:
    return _kind(graph, next(name for name, label in tensors.items() if label == number))


def _merged(pieces: Sequence[Array], tensors: dict[str, int]) -> list[Array]:
    """Return the pieces with the numbers of the first one; ``tensors`` get them too."""
    first = _numbers(pieces[0])
    merged = [pieces[0]]
    for piece in pieces[1:]:
        same = dict(zip(_numbers(piece), first, strict=True))
        merged.append(np.vectorize(same.__getitem__, otypes=[np.int32])(piece))
        tensors.update({name: same[label] for name, label in tensors.items() if label in same})
    return merged


def _kind(graph: Graph, name: str) -> tuple[str, ...]:
    """Return the operators that make a tensor, the last first, back to a layer with weights."""
    kind: list[str] = []
    node = graph.producers.get(name)
    while node is not None and len(kind) < _KIND_LENGTH:
        if node.op_type not in WHOLE:
            kind.append(node.op_type)
        if node.op_type in _CHANNEL_AXES:
            break
        computed = (source for source in node.input if source in graph.producers)
        node = graph.producers.get(next(computed, ""))
    return tuple(kind)


def _runs_over_positions(graph: Graph, name: str, axis: int) -> bool:
    """Return whether an axis of a tensor runs over positions of the layer that made it.

    Levels are joined so; along an axis of channels different things are.
    """
    moves: list[NodeProto] = []
    node = graph.producers.get(name)
    while node is not None and node.op_type not in _CHANNEL_AXES:
        shape = graph.shapes.get(node.output[0])
        same = [source for source in node.input if graph.shapes.get(source) == shape]
        source = node.input[0] if node.op_type in WHOLE else next(iter(same), None)
        if source is None:
            return False
        moves.append(node)
        node = graph.producers.get(source)
    if node is None or (shape := graph.shapes.get(node.output[0])) is None:
        return False
    channels = _CHANNEL_AXES[node.op_type]
    positions = np.arange(prod(shape)).reshape(shape)
    positions = np.broadcast_to(positions.take([0], channels), shape)
    moved = _moved(graph, positions, moves[::-1])
    return moved is not None and bool(np.ptp(moved, axis).any())


def _is_ranked(graph: Graph, name: str) -> bool:
    """Return whether the order of a tensor's values depends on values behind the last layers."""
    queue, seen = [name], {name}
    while queue:
        node = graph.producers.get(queue.pop())
        if node is None or node.op_type in _CHANNEL_AXES:
            continue
        if node.op_type in _RANKING:
            return True
        new = [source for source in node.input if source not in seen]
        seen.update(new)
        queue.extend(new)
    return False
