"""What a model is calibrated with, and the samples of that which are read more than once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from onnx import ModelProto

from ...core.progress import SILENT, Progress
from ...core.streaming.layerwise import SpooledFeeds
from ...core.types import Feeds

_MOST = 48


class SampleSet(Protocol):
    """Samples that can be counted, and read as often as needed."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Feeds]: ...


@dataclass(frozen=True)
class Calibration:
    """A float ``model``, the samples to gather its statistics on, and what for.

    ``methods`` are the names of those that will be applied. With ``symmetric`` all zero points are
    0 though they need not be.
    """

    model: ModelProto
    samples: SampleSet
    methods: tuple[str, ...]
    symmetric: bool = False
    seed: int = 0
    progress: Progress = SILENT


class SampleSubset:
    """At most 48 samples, evenly spread over all that passed, one in memory at a time."""

    def __init__(self) -> None:
        self._samples = SpooledFeeds()
        self._apart = 1
        self._passed = 0

    def passing(self, samples: Iterable[Feeds]) -> Iterator[Feeds]:
        """Pass samples on and store some of them; may go on with a second stream."""
        for feeds in samples:
            if self._passed % self._apart == 0:
                self._samples.append(feeds)
            if len(self._samples) > _MOST:
                self._samples = SpooledFeeds(islice(self._samples, 0, None, 2))
                self._apart *= 2
            self._passed += 1
            yield feeds

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[Feeds]:
        return iter(self._samples)
