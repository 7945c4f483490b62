"""The RKNN simulator as a runner: several child processes, each with a part of the samples.

A ``.rknn`` cannot be simulated once it is only a file, so that every process builds the model
again. That pays where simulating takes longer than building.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from ..accuracy.runners import Progress, Runner
from ..calibration_data.samples import Samples
from ..convert.convert import Conversion
from ..core.graph import Array
from .parallel import Stopped, all_or_first_exception
from .recipe import Recipe
from .stages import Step

_LEAST = 8  # samples for which another process is worth its build


# Builds the model, always in the same way, and simulates some samples; the recipe has that
# process's share of the memory.
Build = Callable[[Samples, Recipe, Step], Conversion]


def simulate(
    build: Build, samples: Samples, recipe: Recipe, step: Step = lambda what, done, total: None
) -> Conversion:
    """The conversion of the first process, with the outputs of all samples in their order.

    Up to ``recipe.jobs`` processes run at once. Raises what ``build`` raises.
    """
    parts = _parts(samples, recipe.jobs)
    if len(parts) == 1:
        return build(samples, recipe, step)
    share = replace(recipe, memory_limit_gb=recipe.memory_limit_gb / len(parts))
    found = _side_by_side(build, parts, share, _Shared(step, len(samples)))
    outputs = [np.concatenate(column) for column in zip(*map(_outputs, found), strict=True)]
    return replace(found[0], outputs=outputs)


def simulator_runner(build: Build, recipe: Recipe) -> Runner:
    """A Runner whose progress is told in steps of the simulator's own."""

    def run(samples: Samples, *, on_progress: Progress = lambda done: None) -> list[Array]:
        def step(what: str, done: int, total: int | None) -> None:
            if what == "simulate":
                on_progress(done)

        return [*_outputs(simulate(build, samples, recipe, step))]

    return run


def _outputs(conversion: Conversion) -> Sequence[Array]:
    assert conversion.outputs is not None  # it was given samples
    return conversion.outputs


def _parts(samples: Samples, jobs: int) -> list[Samples]:
    """The samples in runs of almost equal length, as many as are worth a process."""
    count = max(1, min(jobs, len(samples) // _LEAST))
    return [replace(samples, indices=indices) for indices in np.array_split(samples.indices, count)]


def _side_by_side(
    build: Build, parts: Sequence[Samples], share: Recipe, shared: _Shared
) -> list[Conversion]:
    with ThreadPoolExecutor(len(parts), "simulator") as pool:
        try:
            futures = [
                pool.submit(build, part, share, shared.of(number))
                for number, part in enumerate(parts)
            ]
            for future in all_or_first_exception(futures):
                future.result()
        finally:
            shared.stop.set()  # those that go on, if any, end at their next step
            pool.shutdown(cancel_futures=True)
    return [future.result() for future in futures]


class _Shared:
    """One progress for all processes: the stage of the first, and all simulated samples."""

    def __init__(self, step: Step, total: int) -> None:
        self._step = step
        self._total = total
        self._done: dict[int, int] = {}
        self._lock = threading.Lock()
        self.stop = threading.Event()

    def of(self, number: int) -> Callable[[str, int, int | None], None]:
        """The step function of one process."""

        def step(what: str, done: int, total: int | None) -> None:
            if self.stop.is_set():
                raise Stopped
            with self._lock:
                if what == "simulate":
                    self._done[number] = done
                    self._step(what, sum(self._done.values()), self._total)
                elif number == 0:
                    self._step(what, done, total)

        return step
