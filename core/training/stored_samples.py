"""Samples decoded once, stored on disk and mapped: training reads each of them many times."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import ModelProto

from ..diagnostics import option
from ..errors import OutputError, SamplesError
from ..graphs.graph import Graph
from ..session import Session
from ..types import Array, SampleSet

# bytes that the tensors of one mini-batch may take: each is there for the gradient too
_BATCH_BYTES = 1 << 30
_MOST = 16


@dataclass(frozen=True)
class TrainingSamples:
    """The samples to train on, and those held out to judge the result by."""

    train: SampleSet
    held_out: SampleSet


@dataclass(frozen=True)
class StoredSamples:
    """Decoded samples: input name -> array (samples, 1, ...)."""

    feeds: dict[str, Array]

    def __len__(self) -> int:
        return len(next(iter(self.feeds.values())))

    def take(self, indices: Array) -> dict[str, Array]:
        """Return the samples of some indices, in memory: input name -> array (samples, 1, ...)."""
        return {name: np.ascontiguousarray(values[indices]) for name, values in self.feeds.items()}

    def blended(self, size: int, rng: np.random.Generator) -> dict[str, Array]:
        """Return samples drawn at random, each blended with another of them: mixup (distil.py)."""
        chosen = rng.choice(len(self), size, replace=False)
        others, share = rng.permutation(chosen), rng.random(size)
        first, second = self.take(chosen), self.take(others)
        for name, value in first.items():
            if value.dtype == np.float32:
                by = share.astype(np.float32).reshape(-1, *[1] * (value.ndim - 1))
                first[name] = value + by * (second[name] - value)
        return first

    def batches(self, size: int) -> Iterator[dict[str, Array]]:
        """Yield all samples in order, ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self.take(np.arange(start, min(start + size, len(self))))


def store_samples(samples: SampleSet, folder: Path) -> StoredSamples:
    """Decode all samples into files of ``folder``. Raises SamplesError, OutputError."""
    feeds: dict[str, Array] = {}
    for index, sample in enumerate(samples):
        if not feeds:
            feeds = _allocate(sample, len(samples), folder)
        for name, value in sample.items():
            feeds[name][index] = value
    if not feeds:
        raise SamplesError("there are no samples to train on", f"give some with {option('calib')}")
    return StoredSamples(feeds)


def _allocate(sample: Mapping[str, Array], count: int, folder: Path) -> dict[str, Array]:
    """Return mapped arrays for ``count`` samples like this one. Raises OutputError."""
    needed = count * sum(value.nbytes for value in sample.values())
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OutputError(
            f"{count} decoded samples take {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free in "
            f"{folder}",
            "make space there, set TMPDIR to a folder that has some, or lower "
            f"{option('calib-count')}",
        )
    return {
        name: np.lib.format.open_memmap(  # type: ignore[no-untyped-call]
            folder / f"{index}.npy", mode="w+", dtype=value.dtype, shape=(count, *value.shape)
        )
        for index, (name, value) in enumerate(sample.items())
    }


def outputs_of(model: ModelProto, rows: StoredSamples) -> list[Array]:
    """Return one array (samples, ...) for each output, as ONNX Runtime computes them."""
    singles = ({name: value[0] for name, value in feeds.items()} for feeds in rows.batches(1))
    return Session(model).stacked(singles)


def batch_size(model: ModelProto) -> int:
    """Return the number of samples of a prepared model that are trained at once, at most 16."""
    graph = Graph(model)
    numbers = sum(
        int(np.prod(graph.shapes.get(name, ()))) for node in graph.nodes for name in node.output
    )
    return max(1, min(_MOST, _BATCH_BYTES // max(1, 8 * numbers)))
