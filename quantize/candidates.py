"""Which quantized model is best: none by dogma, all by trial on samples that none has seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from onnx import ModelProto

from ..core.graph import Array
from ..core.session import Session
from ..core.similarity import RunningSqnr
from .judging import TaskMetric, Trial

Feeds = Mapping[str, Array]


class SampleSet(Protocol):
    """Samples that can be counted, and read as often as needed."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Mapping[str, Array]]: ...


class HeldOut:
    """Samples that no method has seen, with what the float model makes of them, kept on disk.

    They are read, and the float model is run, only once, and one sample is in memory at a time.
    """

    def __init__(self, model: ModelProto, samples: Iterable[Feeds], folder: Path) -> None:
        session = Session(model)
        self._names = session.input_names
        self._files: list[Path] = []
        for number, feeds in enumerate(samples):
            self._files.append(folder / f"{number}.npz")
            given = {f"input{i}": feeds[name] for i, name in enumerate(self._names)}
            made = {f"output{i}": one for i, one in enumerate(session.run(feeds))}
            np.savez(self._files[-1], **given, **made)

    def __len__(self) -> int:
        return len(self._files)

    def sqnr_db(
        self,
        candidate: ModelProto,
        on_progress: Callable[[], None] = lambda: None,
        *,
        most: int | None = None,
    ) -> float:
        """SQNR in dB of the worst output of a quantized model, over all samples or the first.

        ONNX Runtime's optimisations are off: they change quantized graphs.
        """
        running = RunningSqnr()
        for _, wanted, found in self._outputs(candidate, most):
            running.add(wanted, found)
            on_progress()
        return running.db

    def trial(
        self,
        candidate: ModelProto,
        metric: TaskMetric | None = None,
        on_progress: Callable[[], None] = lambda: None,
    ) -> Trial:
        """SQNR as above, and what the metric, if any, says of every sample."""
        running, scores = RunningSqnr(), []
        for index, wanted, found in self._outputs(candidate):
            running.add(wanted, found)
            if metric is not None:
                scores.append(metric.score(index, found))
            on_progress()
        return Trial(running.db, tuple(scores))

    def _outputs(
        self, candidate: ModelProto, most: int | None = None
    ) -> Iterator[tuple[int, list[Array], list[Array]]]:
        """Sample number, outputs of the float model, outputs of the candidate."""
        session = Session(candidate, optimise=False)
        for index, file in enumerate(self._files[:most]):
            with np.load(file) as kept:
                found = session.run(self._feeds(kept))
                yield index, [kept[f"output{i}"] for i in range(len(found))], found

    def __iter__(self) -> Iterator[Feeds]:
        for file in self._files:
            with np.load(file) as kept:
                yield self._feeds(kept)

    def _feeds(self, kept: Mapping[str, Array]) -> Feeds:
        return {name: kept[f"input{i}"] for i, name in enumerate(self._names)}
