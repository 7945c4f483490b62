"""Samples decoded once, kept on disk and mapped: training reads each of them many times."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from onnx import ModelProto

from ...core.diagnostics import option
from ...core.errors import OutputError, SamplesError
from ...core.graphs.graph import Graph
from ...core.session import Session
from ...core.types import Array

# what the tensors of one mini-batch may take: each is there for the gradient too
_BATCH_BYTES = 1 << 30
_MOST = 16


class Sized(Protocol):
    """Feeds that can be counted and read again."""

    def __len__(self) -> int:
        """How many there are."""

    def __iter__(self) -> Iterator[Mapping[str, Array]]:
        """Input name -> array (1, ...), sample by sample."""


@dataclass(frozen=True)
class Rows:
    """Decoded samples: input name -> array (samples, 1, ...)."""

    feeds: dict[str, Array]

    def __len__(self) -> int:
        return len(next(iter(self.feeds.values())))

    def take(self, indices: Array) -> dict[str, Array]:
        """The chosen samples, in memory."""
        return {name: np.ascontiguousarray(values[indices]) for name, values in self.feeds.items()}

    def batches(self, size: int) -> Iterator[dict[str, Array]]:
        """All of them, in order."""
        for start in range(0, len(self), size):
            yield self.take(np.arange(start, min(start + size, len(self))))


def stored(samples: Sized, folder: Path) -> Rows:
    """Decode all samples into files of ``folder``. Raises SamplesError, OutputError."""
    feeds: dict[str, Array] = {}
    for index, sample in enumerate(samples):
        if not feeds:
            feeds = _made(sample, len(samples), folder)
        for name, value in sample.items():
            feeds[name][index] = value
    if not feeds:
        raise SamplesError("there are no samples to distil on", f"give some with {option('calib')}")
    return Rows(feeds)


def _made(sample: Mapping[str, Array], count: int, folder: Path) -> dict[str, Array]:
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


def outputs_of(model: ModelProto, rows: Rows) -> list[Array]:
    """One array (samples, ...) for each output, as ONNX Runtime computes them."""
    singles = ({name: value[0] for name, value in one.items()} for one in rows.batches(1))
    return Session(model).stacked(singles)


def batch_size(model: ModelProto) -> int:
    """How many samples of a prepared model are trained at once: as many as fit, at most 32."""
    graph = Graph(model)
    numbers = sum(
        int(np.prod(graph.shapes.get(name, ()))) for node in graph.nodes for name in node.output
    )
    return max(1, min(_MOST, _BATCH_BYTES // max(1, 8 * numbers)))
