"""Some samples of a stream, on disk, for what has to read samples more than once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ...core.types import Feeds

_MOST = 48


class SampleSubset:
    """At most 48 samples, evenly spread over all that passed, one in memory at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[Path] = []
        self._names: list[str] = []
        self._apart = 1
        self._passed = 0

    def passing(self, samples: Iterable[Feeds]) -> Iterator[Feeds]:
        """Pass samples on and store some of them; may go on with a second stream."""
        for feeds in samples:
            if self._passed % self._apart == 0:
                self._store(feeds)
            self._passed += 1
            yield feeds

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[Feeds]:
        for file in self._files:
            with np.load(file) as arrays:
                yield {name: arrays[f"input{i}"] for i, name in enumerate(self._names)}

    def _store(self, feeds: Feeds) -> None:
        self._folder.mkdir(exist_ok=True)
        self._names = list(feeds)
        self._files.append(self._folder / f"{self._passed}.npz")
        # numbered, as savez has arguments of its own that an input may be called like
        np.savez(self._files[-1], **{f"input{i}": feeds[n] for i, n in enumerate(self._names)})
        if len(self._files) > _MOST:
            for spare in self._files[1::2]:
                spare.unlink()
            self._files = self._files[::2]
            self._apart *= 2
