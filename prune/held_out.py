"""Samples that are left out of a repair, to judge by what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from onnx import ModelProto

from ..core.graph import Array
from ..core.session import Session
from .divergence import divergence

Feeds = Mapping[str, Array]

_EVERY = 4
_MOST = 64


@dataclass(frozen=True)
class Part:
    """Every fourth sample, at most 64 of them, or the others; read whenever iterated over.

    >>> list(Part(range(9))), list(Part(range(9), held_out=True))
    ([0, 1, 2, 4, 5, 6, 8], [3, 7])
    """

    samples: Iterable[Feeds]
    held_out: bool = False

    def __iter__(self) -> Iterator[Feeds]:
        for index, feeds in enumerate(self.samples):
            is_apart = index % _EVERY == _EVERY - 1 and index < _EVERY * _MOST
            if is_apart == self.held_out:
                yield feeds


def divergence_on(model: ModelProto, samples: Iterable[Feeds]) -> Callable[[ModelProto], float]:
    """What gives the divergence of another model's outputs from those of ``model``."""
    reference = Session(model).stacked(samples)
    return lambda other: divergence(reference, Session(other).stacked(samples))
