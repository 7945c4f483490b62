"""Samples that are held out of a repair, to measure the result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from onnx import ModelProto

from ...core.session import Session
from ...core.types import Feeds
from .divergence import divergence

# (every, first): no sample serves for both
RANKING, JUDGING = (2, 1), (4, 2)
_MOST = 64


@dataclass(frozen=True)
class SampleSplit:
    """The samples without those that are held out (at most 64), or these ``alone``; read anew.

    ``held_out`` is (every, first) index of these.

    >>> list(SampleSplit(range(9), JUDGING)), list(SampleSplit(range(9), JUDGING, alone=True))
    ([0, 1, 3, 4, 5, 7, 8], [2, 6])
    """

    samples: Iterable[Feeds]
    held_out: tuple[int, int]
    alone: bool = False

    def __iter__(self) -> Iterator[Feeds]:
        every, first = self.held_out
        for index, feeds in enumerate(self.samples):
            is_held_out = index % every == first and index < every * _MOST
            if is_held_out == self.alone:
                yield feeds


def divergence_on(model: ModelProto, samples: Iterable[Feeds]) -> Callable[[ModelProto], float]:
    """Return a function that gives the divergence of a model's outputs from those of ``model``."""
    reference = Session(model).stacked(samples)
    return lambda other: divergence(reference, Session(other).stacked(samples))
