"""Samples stored while all pass, for what reads some of them later."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from ...core.errors import TemporarySpaceError
from ...core.streaming.layerwise import SpooledFeeds
from ...core.types import Feeds

_MOST = 48  # samples of a subset
_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


class SampleSubset:
    """At most so many samples, spread over all that passed, one in memory at a time.

    Which ones follows the multiples of the golden ratio, whose fractions spread evenly over any
    stretch of the samples and over every n-th of them, as samples may come in turn, class by class.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._samples = SpooledFeeds()
        self._fractions: list[float] = []  # of those stored
        self._below = 1.0
        self._passed = 0
        self._shortage: TemporarySpaceError | None = None

    def passing(self, samples: Iterable[Feeds]) -> Iterator[Feeds]:
        """Pass samples on and store some of them; may go on with a second stream.

        Where there is no space for them, whoever reads them gets the TemporarySpaceError: not all
        that could be done with the samples that pass needs what is stored.
        """
        for feeds in samples:
            fraction = self._passed * _GOLDEN_RATIO % 1
            if fraction < self._below:
                self._store(feeds)
                self._fractions.append(fraction)
            while len(self._fractions) > self._most:
                self._below /= 2
                self._thin_out()
                self._fractions = [each for each in self._fractions if each < self._below]
            self._passed += 1
            yield feeds

    def _store(self, feeds: Feeds) -> None:
        if self._shortage is None:
            try:
                self._samples.append(feeds)
            except TemporarySpaceError as error:
                self._give_up(error)

    def _thin_out(self) -> None:
        if self._shortage is None:
            try:
                self._samples = SpooledFeeds(self._stored_below(self._below))
            except TemporarySpaceError as error:
                self._give_up(error)

    def _give_up(self, error: TemporarySpaceError) -> None:
        self._shortage = TemporarySpaceError(error.message, error.hint)  # its frames hold the files
        self._samples = SpooledFeeds()

    def __len__(self) -> int:
        return len(self._fractions)

    def __iter__(self) -> Iterator[Feeds]:
        return self._stored_below(1.0)

    def evenly(self, most: int) -> Iterator[Feeds]:
        """Yield ``most`` of the samples, spread as they are, or all where there are no more."""
        if most >= len(self):
            return iter(self)
        return self._stored_below(sorted(self._fractions)[most])

    def _stored_below(self, fraction: float) -> Iterator[Feeds]:
        if self._shortage is not None:
            raise self._shortage
        pairs = zip(self._samples, self._fractions, strict=True)
        return (feeds for feeds, each in pairs if each < fraction)
