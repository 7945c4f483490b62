"""Run a model over samples: the outputs of ONNX Runtime, and its latency on this host."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from onnx import ModelProto

from ..calibration_data.samples import Samples
from ..core.diagnostics import option
from ..core.errors import ModelError, SamplesError
from ..core.progress import SILENT, Progress
from ..core.session import Session
from ..core.types import Array

# Outputs of all samples are kept for the comparison; two models at this size still fit into 16 GB.
MAX_OUTPUT_BYTES = 4 * 2**30
_WARM_UP_RUNS, _LEAST_RUNS = 5, 10
_LATENCY_SECONDS = 0.5  # after which no more runs are made
# Different samples, so that no branch or cache is trained on a single one.
_LATENCY_SAMPLES = 8


class SizedFeeds(Protocol):
    """Sized samples that give feeds (input name -> array); Samples is one."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Mapping[str, Array]]: ...


class Runner(Protocol):
    """Runs one model over the samples and gives its outputs, each (N, ...).

    ``partial(run_onnxruntime, model)`` is one and feeds ``samples.feeds(index)``. The simulator
    (where a model is built: pipeline/tasks/converting.py) and a board are fed
    ``samples.npu_feeds(index)``: pixels, where mean and std (``samples.npu_preprocess``) are inside
    the NPU's model. Outputs are in the samples' order.
    """

    def __call__(self, samples: Samples, *, progress: Progress = ...) -> list[Array]:
        """Return the outputs of all samples; every sample is a step of ``progress``."""
        ...


def run_onnxruntime(
    model: Path | ModelProto,
    samples: SizedFeeds,
    *,
    optimise: bool = True,
    keeps_scales: bool = False,
    progress: Progress = SILENT,
    activity: str = "evaluate",
) -> list[Array]:
    """Return the outputs of the model, a list of (N, ...) arrays in the model's order.

    One sample is fed at a time; an output's batch axis of 1 becomes the sample axis. Samples of a
    model with a larger batch are fed as whole batches.
    ``optimise=False`` is for quantized models; so is ``keeps_scales``, which is faster.
    Every sample is a step of ``activity``.
    Raises SamplesError without samples or when the outputs would not fit into memory, ModelError
    when the model does not run or its outputs change their shape.
    """
    session = Session(model, optimise=optimise, keeps_scales=keeps_scales)
    fed = samples.grouped() if isinstance(samples, Samples) else samples
    runs = (session.run(feeds) for feeds in fed)
    collected = collect(runs, session.output_names, len(fed), progress, activity)
    return sample_rows(collected, samples) if isinstance(samples, Samples) else collected


def collect(
    runs: Iterable[Sequence[Any]],
    names: Sequence[str],
    count: int,
    progress: Progress = SILENT,
    activity: str = "evaluate",
) -> list[Array]:
    """Return the outputs of ``count`` runs of a model, (count, ...) each, by ``names`` in order.

    Every run is a step of ``activity``. Raises SamplesError where there is none or the outputs
    would not fit into memory, ModelError when an output changes its shape.
    """
    collected: list[Array] = []
    done = 0
    for outputs in runs:
        rows = [without_batch(output) for output in outputs]
        if not collected:
            collected = _allocate(rows, count)
        for array, row, name in zip(collected, rows, names, strict=True):
            _store(array, row, done, name)
        done += 1
        progress.step(activity, done, count)
    if not done:
        raise SamplesError(
            "there are no samples to run the model on", f"give some with {option('eval')}"
        )
    return collected


def sample_rows(outputs: list[Array], samples: Samples) -> list[Array]:
    """Return the outputs (N, ...) of the samples from those of the whole batches they were fed in.

    ``outputs`` are (batches, batch, ...) each, or (N, ...) where a batch is one sample. Raises
    ModelError for an output without a row for each sample of a batch.
    """
    if samples.batch == 1:
        return outputs
    for output in outputs:
        if output.shape[1:2] != (samples.batch,):
            raise ModelError(
                f"an output of the shape {output.shape[1:]} has no row for each of the "
                f"{samples.batch} samples of a batch",
                "export the model with a batch of 1, or save whole batches as samples",
            )
    if samples.pool is not None:
        return [output[:, 0] for output in outputs]
    return [output.reshape(-1, *output.shape[2:])[: len(samples)] for output in outputs]


def own_rows(outputs: Iterable[Array], samples: Samples) -> list[Array]:
    """Return the row (...) of a sample from each of the outputs of the batch that it was fed in."""
    rows = [without_batch(output) for output in outputs]
    return rows if samples.batch == 1 else [row[0] for row in rows]


def measure_latency(
    model: Path | ModelProto,
    samples: SizedFeeds,
    runs: int = 50,
    *,
    optimise: bool = True,
    threads: int = 0,
) -> float:
    """Return the median milliseconds of one inference on this host's CPU, after a warm-up.

    It is of at most ``runs``, of 10 or more that take half a second. It says how fast ONNX Runtime
    is here, nothing about an NPU. Raises SamplesError without samples.
    """
    session = Session(model, optimise=optimise, threads=threads, spins=True)
    feeds = list(islice(iter(samples), _LATENCY_SAMPLES))
    if not feeds:
        raise SamplesError("there are no samples to measure the latency on", "give some")
    for index in range(_WARM_UP_RUNS):
        session.run(feeds[index % len(feeds)])
    seconds: list[float] = []
    while len(seconds) < max(1, runs):
        seconds.append(_seconds(session, feeds[len(seconds) % len(feeds)]))
        if len(seconds) >= _LEAST_RUNS and sum(seconds) >= _LATENCY_SECONDS:
            break
    return 1000 * statistics.median(seconds)


def _seconds(session: Session, feeds: Mapping[str, Array]) -> float:
    start = time.perf_counter()
    session.run(feeds)
    return time.perf_counter() - start


def without_batch(output: Any) -> Array:
    """Return the output of one sample without its batch axis, where that is 1."""
    array = np.asarray(output)
    return array[0] if array.ndim and array.shape[0] == 1 else array


def _allocate(rows: list[Array], count: int) -> list[Array]:
    size = sum(row.nbytes for row in rows) * count
    if size > MAX_OUTPUT_BYTES:
        raise SamplesError(
            f"the outputs of {count} samples take {size / 2**30:.1f} GB, "
            f"above the limit of {MAX_OUTPUT_BYTES / 2**30:.0f} GB",
            f"use at most {option('eval-count', math.floor(count * MAX_OUTPUT_BYTES / size))}",
        )
    return [np.empty((count, *row.shape), dtype=row.dtype) for row in rows]


def _store(array: Array, row: Array, index: int, name: str) -> None:
    if row.shape != array.shape[1:]:
        raise ModelError(
            f"output {name!r} has the shape {row.shape} for sample {index}, "
            f"but {array.shape[1:]} for the first",
            f"cut the graph before the part whose output varies, with {option('outputs')}",
        )
    array[index] = row
