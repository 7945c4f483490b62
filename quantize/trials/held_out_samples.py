"""Quantized models on trial: on samples that none of them has seen, against the float model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from onnx import ModelProto

from ...core.progress import SILENT, Progress
from ...core.session import Session
from ...core.similarity import RunningSqnr, sqnr_db
from ...core.streaming.tensor_stream import with_outputs
from ...core.trim_heap import trim_heap
from ...core.types import Array, Feeds
from ..graph_parts.logits import logits_of
from .method_selection import MethodTrial, TaskMetric


class HeldOut:
    """Samples that no method has seen, with what the float model makes of them, kept on disk.

    They are read, and the float model is run, only once, and one sample is in memory at a time.
    """

    def __init__(self, model: ModelProto, samples: Iterable[Feeds], folder: Path) -> None:
        self._logits = logits_of(model)
        session = _LogitSession(model, optimise=True)
        self._names = session.input_names
        self._files: list[Path] = []
        for number, feeds in enumerate(samples):
            self._files.append(folder / f"{number}.npz")
            outputs, logits = session.run(feeds)
            inputs = [feeds[name] for name in self._names]
            arrays = {"input": inputs, "output": outputs, "logits": logits}
            numbered = {
                f"{kind}{index}": array
                for kind, group in arrays.items()
                for index, array in enumerate(group)
            }
            np.savez(self._files[-1], **numbered)
        del session
        trim_heap()

    def __len__(self) -> int:
        return len(self._files)

    def sqnr_db(self, candidate: ModelProto, *, most: int | None = None) -> float:
        """Return the SQNR in dB of a model's worst output, over the first ``most`` samples or all.

        ONNX Runtime's optimisations are off: they change quantized graphs.
        """
        running = RunningSqnr()
        session = Session(candidate, optimise=False)
        for file in self._files[:most]:
            with np.load(file) as arrays:
                outputs = session.run(self._feeds(arrays))
                running.add([arrays[f"output{i}"] for i in range(len(outputs))], outputs)
        return running.db

    def trial(
        self,
        candidate: ModelProto,
        metric: TaskMetric | None = None,
        progress: Progress = SILENT,
        earlier: int = 0,
        total: int | None = None,
    ) -> MethodTrial:
        """Return the SQNR as above, that of each sample's logits, and the metric's score of each.

        ``progress`` counts the samples, ``total`` in all trials, from the ``earlier`` ones on.
        """
        running, each_db, scores = RunningSqnr(), list[float](), list[float]()
        session = _LogitSession(candidate, optimise=False)
        for index, file in enumerate(self._files):
            with np.load(file) as arrays:
                outputs, logits = session.run(self._feeds(arrays))
                running.add([arrays[f"output{i}"] for i in range(len(outputs))], outputs)
                reference = [arrays[f"logits{i}"] for i in range(len(logits))]
            each_db.append(self._sqnr_of_logits(reference, logits))
            if metric is not None:
                scores.append(metric.score(index, outputs))
            progress.step("compare", earlier + index + 1, total)
        del session
        trim_heap()
        return MethodTrial(running.db, tuple(each_db), tuple(scores))

    def _sqnr_of_logits(self, reference: list[Array], logits: list[Array]) -> float:
        centred = [
            [
                output.without_offset(values)[None]
                for output, values in zip(self._logits, arrays, strict=True)
            ]
            for arrays in (reference, logits)
        ]
        return sqnr_db(*centred)

    def __iter__(self) -> Iterator[Feeds]:
        for file in self._files:
            with np.load(file) as arrays:
                yield self._feeds(arrays)

    def _feeds(self, arrays: Mapping[str, Array]) -> Feeds:
        return {name: arrays[f"input{i}"] for i, name in enumerate(self._names)}


class _LogitSession:
    """A session that gives the logits (see there) beside the outputs."""

    def __init__(self, model: ModelProto, *, optimise: bool) -> None:
        outputs = [value.name for value in model.graph.output]
        logits = [output.tensor for output in logits_of(model)]
        inner = [name for name in logits if name not in outputs]
        self._session = Session(with_outputs(model, inner), optimise=optimise)
        self._names = [*outputs, *logits]
        self._count = len(outputs)
        self.input_names = self._session.input_names

    def run(self, feeds: Feeds) -> tuple[list[Array], list[Array]]:
        """Return the outputs, and as many logits."""
        distinct = list(dict.fromkeys(self._names))
        tensors = dict(zip(distinct, self._session.run(feeds, distinct), strict=True))
        values = [tensors[name] for name in self._names]
        return values[: self._count], values[self._count :]
