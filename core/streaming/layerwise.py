"""A model run piece by piece on all samples, so that a method may stop in the middle of it.

Between two pieces the weights of what comes later may change, and what comes before is not run
again. Only the tensors that are still needed are held: in memory while they are small, else in an
unnamed temporary file, so that memory depends neither on the samples nor on the model's width. What
is dequantized is held as the integers that it came from.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, ValueInfoProto, helper, numpy_helper

from ..graphs.graph import fed_inputs, part_of, read_by
from ..scratch import temporary_space
from ..session import Session
from ..types import Array, Feeds
from .tensor_stream import no_samples

_IN_MEMORY = 16 << 20  # bytes of one tensor on all samples
_FEW_IN_MEMORY = 1 << 20  # bytes of samples that are read now and then


@dataclass(frozen=True)
class Dequantization:
    """Numbers that are ``(integers - zero_point) * scale``, one scale for all of a tensor."""

    integers: str
    scale: Array
    zero_point: Array

    def numbers(self, integers: Array) -> Array:
        """Return what these integers stand for."""
        numbers = np.subtract(integers, self.zero_point, dtype=self.scale.dtype)
        return np.multiply(numbers, self.scale, out=numbers)


class SpooledArrays:
    """Arrays, one a sample, written once and read in any order; large ones lie in a file.

    With a ``dequantization`` integers are written and the numbers that they stand for are read.
    Raises TemporarySpaceError, when written or read, where the file has no space.

    >>> held = SpooledArrays()
    >>> held.append(np.array([1.0, 2.0]))
    >>> held[0].tolist(), len(held)
    ([1.0, 2.0], 1)
    """

    def __init__(
        self, in_memory: int = _IN_MEMORY, dequantization: Dequantization | None = None
    ) -> None:
        self._dequantization = dequantization
        self._file = tempfile.SpooledTemporaryFile(in_memory)  # noqa: SIM115 (closed with self)
        self._places: list[tuple[int, tuple[int, ...], np.dtype[Any]]] = []

    def append(self, array: Array) -> None:
        """Keep a copy of what one sample gave."""
        with temporary_space():
            at = self._file.seek(0, 2) or self._file.tell()
            self._file.write(np.ascontiguousarray(array).tobytes())
        self._places.append((at, array.shape, array.dtype))

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Array:
        at, shape, dtype = self._places[index]
        with temporary_space():
            self._file.seek(at)
            data = self._file.read(int(np.prod(shape)) * dtype.itemsize)
        array = np.frombuffer(data, dtype).reshape(shape)
        return array if self._dequantization is None else self._dequantization.numbers(array)

    def __iter__(self) -> Iterator[Array]:
        return (self[index] for index in range(len(self)))


class SpooledFeeds:
    """Samples as named arrays, written once and read as often as needed; see SpooledArrays."""

    def __init__(self, samples: Iterable[Feeds] = ()) -> None:
        self._arrays: dict[str, SpooledArrays] = defaultdict(lambda: SpooledArrays(_FEW_IN_MEMORY))
        for feeds in samples:
            self.append(feeds)

    def append(self, feeds: Feeds) -> None:
        """Keep a copy of one sample, of the same names as the others."""
        for name, array in feeds.items():
            self._arrays[name].append(np.asarray(array))

    def __len__(self) -> int:
        return len(next(iter(self._arrays.values()), ()))

    def __iter__(self) -> Iterator[Feeds]:
        for index in range(len(self)):
            yield {name: arrays[index] for name, arrays in self._arrays.items()}


class LayerwiseExecutor:
    """Runs a model in steps: all nodes before ``position`` have run on every sample.

        executor = LayerwiseExecutor(model, samples)
        executor.run_until(7)              # the first seven nodes
        for value in executor.values("x"): # an input of a later node
            ...

    The nodes and initializers of the later pieces are read from ``model`` when they run. Raises
    SamplesError when there are no samples, ModelError when a piece cannot run. ``optimise=False``
    is for quantized models, see Session. A tensor of more than ``in_memory`` bytes on all samples
    lies in a file.
    """

    def __init__(
        self,
        model: ModelProto,
        samples: Iterable[Feeds],
        *,
        optimise: bool = True,
        in_memory: int = _IN_MEMORY,
    ) -> None:
        self.position = 0
        self._model, self._optimise, self._in_memory = model, optimise, in_memory
        self._nodes: list[NodeProto] = list(model.graph.node)
        self._pinned: set[str] = set()
        self._last = _last_reader(model)
        self._dequantizations = _dequantizations(model)
        self._held = _inputs_of(model, samples)
        self._count = len(next(iter(self._held.values())))

    def __len__(self) -> int:
        return self._count

    def fork(self, model: ModelProto, *, optimise: bool | None = None) -> LayerwiseExecutor:
        """Return one that goes on from here through another model, equal up to this node.

        It optimises as this one does, unless ``optimise`` says it.
        """
        other = copy(self)
        other._model, other._nodes = model, list(model.graph.node)
        other._optimise = self._optimise if optimise is None else optimise
        other._pinned, other._last = set(), _last_reader(model)
        other._dequantizations = _dequantizations(model)
        other._held = dict(self._held)  # what is held is never changed
        return other

    def keep(self, names: Iterable[str]) -> None:
        """Hold these tensors when they come, until they are dropped."""
        self._pinned.update(names)

    def drop(self, name: str) -> None:
        """Let go of a tensor, unless a later node reads it."""
        self._pinned.discard(name)
        self._forget()

    def values(self, name: str) -> SpooledArrays:
        """Return the values of a tensor that is held, one array a sample."""
        return self._held[name]

    def shift(self, name: str, offset: Array) -> None:
        """Add an array to the values of a tensor that is held, before later nodes read them."""
        shifted = SpooledArrays()
        for value in self._held[name]:
            shifted.append(value + offset)
        self._held[name] = shifted

    def run_until(self, position: int) -> None:
        """Run the nodes up to ``position`` (not that one itself); does nothing when it is past."""
        if position <= self.position:
            return
        computed = self._places_for(position)  # tensor to run -> name and place of what is held
        piece = self._piece(self.position, position, list(computed))
        self.position = position
        if computed:
            session = Session(piece, optimise=self._optimise)
            for feeds in self.feeds(session.input_names):
                values = session.run(feeds, list(computed))
                for (_, arrays), value in zip(computed.values(), values, strict=True):
                    arrays.append(value)
            self._held.update(computed.values())
        self._forget()

    def rest(self) -> ModelProto:
        """Return the nodes from here to the end as a model that takes ``feeds()``.

        Its outputs are those of the model that are not computed yet.
        """
        pending = {name for node in self._nodes[self.position :] for name in node.output}
        outputs = [value.name for value in self._model.graph.output if value.name in pending]
        return self._piece(self.position, len(self._nodes), outputs)

    def feeds(self, tensors: Iterable[str] | None = None) -> Iterator[dict[str, Array]]:
        """Yield the values of held tensors, by default all that ``rest()`` reads, by sample."""
        names = self._read(self.position, len(self._nodes)) if tensors is None else list(tensors)
        for index in range(self._count):
            yield {name: self._held[name][index] for name in names}

    def _read(self, start: int, end: int) -> list[str]:
        """Held tensors that the nodes of a piece read."""
        read = (name for node in self._nodes[start:end] for name in read_by(node))
        return list(dict.fromkeys(name for name in read if name in self._held))

    def _needed_after(self, end: int) -> list[str]:
        needed = self._pinned | {name for name, last in self._last.items() if last >= end}
        nodes = self._nodes[self.position : end]
        return [name for node in nodes for name in node.output if name and name in needed]

    def _places_for(self, end: int) -> dict[str, tuple[str, SpooledArrays]]:
        """Return what is to be computed up to a node -> the tensor that is held, and where."""
        needed = self._needed_after(end)
        here = {name for node in self._nodes[self.position : end] for name in node.output}
        places: dict[str, tuple[str, SpooledArrays]] = {}
        for name in needed:
            way = self._dequantizations.get(name)
            if way is None or way.integers not in here or way.integers in {*needed, *places}:
                places[name] = name, SpooledArrays(self._in_memory)
            else:
                places[way.integers] = name, SpooledArrays(self._in_memory, way)
        return places

    def _piece(self, start: int, end: int, outputs: Sequence[str]) -> ModelProto:
        inputs = [_described(name, self._held[name][0]) for name in self._read(start, end)]
        return part_of(self._model, self._nodes[start:end], inputs, outputs)

    def _forget(self) -> None:
        for name in list(self._held):
            if self._last.get(name, -1) < self.position and name not in self._pinned:
                del self._held[name]


def _inputs_of(model: ModelProto, samples: Iterable[Feeds]) -> dict[str, SpooledArrays]:
    names = [value.name for value in fed_inputs(model.graph)]
    held = {name: SpooledArrays() for name in names}
    for feeds in samples:
        for name in names:
            held[name].append(np.asarray(feeds[name]))
    if not names or not len(held[names[0]]):
        raise no_samples()
    return held


def _dequantizations(model: ModelProto) -> dict[str, Dequantization]:
    """Return tensor name -> how it comes from integers with one constant scale."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    ways = {}
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" or not {*node.input[1:]} <= constants.keys():
            continue
        if len(node.input) < 3:  # its integers may be of any type
            continue
        scale, zero_point = (numpy_helper.to_array(constants[name]) for name in node.input[1:])
        if scale.size == zero_point.size == 1 and zero_point.itemsize < scale.itemsize:
            ways[node.output[0]] = Dequantization(
                node.input[0], scale.reshape(()), zero_point.reshape(())
            )
    return ways


def _last_reader(model: ModelProto) -> dict[str, int]:
    """Tensor name -> index of the last node that reads it; one more for the model's outputs."""
    last = {name: index for index, node in enumerate(model.graph.node) for name in read_by(node)}
    return last | {value.name: len(model.graph.node) for value in model.graph.output}


def _described(name: str, value: Array) -> ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    return helper.make_tensor_value_info(name, kind, value.shape)
