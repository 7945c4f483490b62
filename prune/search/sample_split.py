"""Samples that are left out of a repair, to measure what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from onnx import ModelProto

from ...core.session import Session
from ...core.types import Feeds
from .divergence import divergence

# Every so many samples, from that one on. No sample serves for both.
RANKING, JUDGING = (2, 1), (4, 2)
_MOST = 64


@dataclass(frozen=True)
class Part:
    """The samples without some (at most 64), or these ``alone``; read anew each time.

    >>> list(Part(range(9), JUDGING)), list(Part(range(9), JUDGING, alone=True))
    ([0, 1, 3, 4, 5, 7, 8], [2, 6])
    """

    samples: Iterable[Feeds]
    left_out: tuple[int, int]
    alone: bool = False

    def __iter__(self) -> Iterator[Feeds]:
        every, first = self.left_out
        for index, feeds in enumerate(self.samples):
            is_apart = index % every == first and index < every * _MOST
            if is_apart == self.alone:
                yield feeds


def divergence_on(model: ModelProto, samples: Iterable[Feeds]) -> Callable[[ModelProto], float]:
    """What gives the divergence of another model's outputs from those of ``model``."""
    reference = Session(model).stacked(samples)
    return lambda other: divergence(reference, Session(other).stacked(samples))
