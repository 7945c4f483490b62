"""Which quantized model is best: none by dogma, all by trial on samples that none has seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from onnx import ModelProto

from ...core.session import Session
from ...core.similarity import RunningSqnr, sqnr_db
from ...core.streaming.tensor_stream import with_outputs
from ...core.trim_heap import trim_heap
from ...core.types import Array, Feeds
from ..graph_parts.logits import logits_of
from .method_selection import TaskMetric, Trial


class SampleSet(Protocol):
    """Samples that can be counted, and read as often as needed."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Mapping[str, Array]]: ...


class HeldOut:
    """Samples that no method has seen, with what the float model makes of them, kept on disk.

    They are read, and the float model is run, only once, and one sample is in memory at a time.
    """

    def __init__(self, model: ModelProto, samples: Iterable[Feeds], folder: Path) -> None:
        self._logits = logits_of(model)
        session = _Tapped(model, optimise=True)
        self._names = session.input_names
        self._files: list[Path] = []
        for number, feeds in enumerate(samples):
            self._files.append(folder / f"{number}.npz")
            outputs, logits = session.run(feeds)
            kept = {"input": [feeds[name] for name in self._names], "output": outputs}
            kept["logits"] = logits
            named = {f"{kind}{i}": one for kind, all_ in kept.items() for i, one in enumerate(all_)}
            np.savez(self._files[-1], **named)
        del session
        trim_heap()

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
        session = Session(candidate, optimise=False)
        for file in self._files[:most]:
            with np.load(file) as kept:
                found = session.run(self._feeds(kept))
                running.add([kept[f"output{i}"] for i in range(len(found))], found)
            on_progress()
        return running.db

    def trial(
        self,
        candidate: ModelProto,
        metric: TaskMetric | None = None,
        on_progress: Callable[[], None] = lambda: None,
    ) -> Trial:
        """SQNR as above, that of each sample's logits, and what the metric, if any, says of it."""
        running, each, scores = RunningSqnr(), list[float](), list[float]()
        session = _Tapped(candidate, optimise=False)
        for index, file in enumerate(self._files):
            with np.load(file) as kept:
                found, logits = session.run(self._feeds(kept))
                running.add([kept[f"output{i}"] for i in range(len(found))], found)
                wanted = [kept[f"logits{i}"] for i in range(len(logits))]
            each.append(self._sqnr_of_logits(wanted, logits))
            if metric is not None:
                scores.append(metric.score(index, found))
            on_progress()
        del session
        trim_heap()
        return Trial(running.db, tuple(each), tuple(scores))

    def _sqnr_of_logits(self, wanted: list[Array], found: list[Array]) -> float:
        plain = [
            [
                one.without_offset(values)[None]
                for one, values in zip(self._logits, all_, strict=True)
            ]
            for all_ in (wanted, found)
        ]
        return sqnr_db(*plain)

    def __iter__(self) -> Iterator[Feeds]:
        for file in self._files:
            with np.load(file) as kept:
                yield self._feeds(kept)

    def _feeds(self, kept: Mapping[str, Array]) -> Feeds:
        return {name: kept[f"input{i}"] for i, name in enumerate(self._names)}


class _Tapped:
    """A session that gives the logits (see there) beside the outputs."""

    def __init__(self, model: ModelProto, *, optimise: bool) -> None:
        outputs = [value.name for value in model.graph.output]
        logits = [one.tensor for one in logits_of(model)]
        inner = [name for name in logits if name not in outputs]
        self._session = Session(with_outputs(model, inner), optimise=optimise)
        self._names = [*outputs, *logits]
        self._count = len(outputs)
        self.input_names = self._session.input_names

    def run(self, feeds: Feeds) -> tuple[list[Array], list[Array]]:
        """Outputs, and as many logits."""
        distinct = list(dict.fromkeys(self._names))
        found = dict(zip(distinct, self._session.run(feeds, distinct), strict=True))
        values = [found[name] for name in self._names]
        return values[: self._count], values[self._count :]
