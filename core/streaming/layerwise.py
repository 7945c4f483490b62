"""A model run piece by piece on all samples, so that a method may stop in the middle of it.

Between two pieces the weights of what comes later may change, and what comes before is not run
again. Only the tensors that are still needed are held: in memory while they are small, else in an
unnamed temporary file, so that memory depends neither on the samples nor on the model's width.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, ValueInfoProto, helper

from ..diagnostics import option
from ..errors import SamplesError
from ..graphs.graph import read_by
from ..session import Session
from ..types import Array

_IN_MEMORY = 16 << 20  # bytes of one tensor on all samples


class Held:
    """Arrays, one a sample, that are written once and read in any order.

    >>> held = Held()
    >>> held.append(np.array([1.0, 2.0]))
    >>> held[0].tolist(), len(held)
    ([1.0, 2.0], 1)
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 (closed with self)
        self._places: list[tuple[int, tuple[int, ...], np.dtype[Any]]] = []

    def append(self, array: Array) -> None:
        """Keep a copy of what one sample gave."""
        at = self._file.seek(0, 2) or self._file.tell()
        self._file.write(np.ascontiguousarray(array).tobytes())
        self._places.append((at, array.shape, array.dtype))

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Array:
        at, shape, dtype = self._places[index]
        self._file.seek(at)
        data = self._file.read(int(np.prod(shape)) * dtype.itemsize)
        return np.frombuffer(data, dtype).reshape(shape)

    def __iter__(self) -> Iterator[Array]:
        return (self[index] for index in range(len(self)))


class Walk:
    """A model and where it has got to: all nodes before ``position`` have run on every sample.

        walk = Walk(model, samples)
        walk.go_to(7)                  # the first seven nodes
        for value in walk.values("x"): # an input of a later node
            ...

    The nodes and initializers of the later pieces are read from ``model`` when they run. Raises
    SamplesError when there are no samples, ModelError when a piece cannot run.
    """

    def __init__(self, model: ModelProto, samples: Iterable[Mapping[str, Array]]) -> None:
        self.position = 0
        self._model = model
        self._nodes: list[NodeProto] = list(model.graph.node)
        self._kept: set[str] = set()
        self._last = _last_reader(model)
        self._held = _inputs_of(model, samples)
        self._count = len(next(iter(self._held.values())))

    def __len__(self) -> int:
        return self._count

    def fork(self, model: ModelProto) -> Walk:
        """A walk from here on through another model, whose nodes so far did the same."""
        other = object.__new__(Walk)
        other.position, other._count = self.position, self._count
        other._model, other._nodes = model, list(model.graph.node)
        other._kept, other._last = set(), _last_reader(model)
        other._held = dict(self._held)  # what is held is never changed
        return other

    def keep(self, names: Iterable[str]) -> None:
        """Hold these tensors when they come, until they are dropped."""
        self._kept.update(names)

    def drop(self, name: str) -> None:
        """A tensor is not wanted any longer, unless a later node reads it."""
        self._kept.discard(name)
        self._forget()

    def values(self, name: str) -> Held:
        """What is held of a tensor: sample by sample."""
        return self._held[name]

    def go_to(self, position: int) -> None:
        """Run the nodes up to ``position`` (not that one itself); does nothing when it is past."""
        if position <= self.position:
            return
        piece = self._piece(self.position, position, self._wanted(position))
        self.position = position
        if piece.graph.output:
            names = [value.name for value in piece.graph.output]
            found = {name: Held() for name in names}
            session = Session(piece)
            for feeds in self.feeds(session.input_names):
                for name, value in zip(names, session.run(feeds, names), strict=True):
                    found[name].append(value)
            self._held.update(found)
        self._forget()

    def rest(self) -> ModelProto:
        """The nodes from here to the end, as a model that takes ``feeds()``.

        Its outputs are those of the model that are not computed yet.
        """
        made = {name for node in self._nodes[self.position :] for name in node.output}
        outputs = [value.name for value in self._model.graph.output if value.name in made]
        return self._piece(self.position, len(self._nodes), outputs)

    def feeds(self, names: Iterable[str] | None = None) -> Iterator[dict[str, Array]]:
        """What is held of some tensors, or of all that ``rest()`` takes, sample by sample."""
        wanted = list(names) if names is not None else self._read(self.position, len(self._nodes))
        for index in range(self._count):
            yield {name: self._held[name][index] for name in wanted}

    def _read(self, start: int, end: int) -> list[str]:
        """Held tensors that the nodes of a piece read."""
        read = (name for node in self._nodes[start:end] for name in read_by(node))
        return list(dict.fromkeys(name for name in read if name in self._held))

    def _wanted(self, end: int) -> list[str]:
        made = (name for node in self._nodes[self.position : end] for name in node.output if name)
        return [name for name in made if self._last.get(name, -1) >= end or name in self._kept]

    def _piece(self, start: int, end: int, outputs: Iterable[str]) -> ModelProto:
        nodes = self._nodes[start:end]
        inputs = [_described(name, self._held[name][0]) for name in self._read(start, end)]
        read = {name for node in nodes for name in read_by(node)}
        graph = helper.make_graph(
            nodes,
            "piece",
            inputs,
            [ValueInfoProto(name=name) for name in outputs],
            [tensor for tensor in self._model.graph.initializer if tensor.name in read],
        )
        piece = helper.make_model(graph, opset_imports=list(self._model.opset_import))
        piece.ir_version = self._model.ir_version
        return piece

    def _forget(self) -> None:
        for name in list(self._held):
            if self._last.get(name, -1) < self.position and name not in self._kept:
                del self._held[name]


def _inputs_of(model: ModelProto, samples: Iterable[Mapping[str, Array]]) -> dict[str, Held]:
    constants = {tensor.name for tensor in model.graph.initializer}
    names = [value.name for value in model.graph.input if value.name not in constants]
    held = {name: Held() for name in names}
    for feeds in samples:
        for name in names:
            held[name].append(np.asarray(feeds[name]))
    if not names or not len(held[names[0]]):
        raise SamplesError(
            "there are no samples to run the model on", f"give some with {option('calib')}"
        )
    return held


def _last_reader(model: ModelProto) -> dict[str, int]:
    """Tensor name -> index of the last node that reads it; one more for the model's outputs."""
    last = {name: index for index, node in enumerate(model.graph.node) for name in read_by(node)}
    return last | {value.name: len(model.graph.node) for value in model.graph.output}


def _described(name: str, value: Array) -> ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    return helper.make_tensor_value_info(name, kind, value.shape)
