"""The samples of a simulation are dealt out to processes: all come back, and none stays behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rockpress.convert.toolkit.child_simulation import simulate

Infer = Callable[[int], list[Any]]


def twice_and_square(index: int) -> list[Any]:
    return [np.full((1, 3), 2 * index, np.float32), np.float32(index**2).reshape(1)]


def in_a_process(infer: Infer, count: int, processes: int, folder: Path) -> int | None:
    """Its exit code; what it tells goes to a file. A process of its own, as it has to be forked."""

    def work() -> None:
        os.chdir(folder)
        with Path("told.txt").open("w") as told:
            simulate(infer, count, processes, lambda done: print(done, file=told), lambda one: None)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(60)
    return process.exitcode


@pytest.mark.parametrize(
    ("count", "processes"), [(1, 1), (1, 4), (3, 2), (20, 1), (20, 2), (23, 4), (230, 3)]
)
def test_every_sample_comes_to_its_place(count: int, processes: int, tmp_path: Path) -> None:
    assert in_a_process(twice_and_square, count, processes, tmp_path) == 0
    doubled, squared = (np.load(tmp_path / f"output{i}.npy") for i in range(2))
    np.testing.assert_array_equal(doubled, 2 * np.arange(count)[:, None].repeat(3, axis=1))
    np.testing.assert_array_equal(squared, np.arange(count) ** 2)
    told = [int(line.partition("/")[0]) for line in (tmp_path / "told.txt").read_text().split()]
    assert told == sorted(told) and told[0] == 0 and told[-1] <= count


def test_samples_of_a_fork_that_died_are_simulated_again(tmp_path: Path) -> None:
    first = os.getpid()

    def infer(index: int) -> list[Any]:
        if os.getppid() != first and index == 2:  # in a fork: its parent is the first's child
            os.kill(os.getpid(), signal.SIGKILL)
        return twice_and_square(index)

    assert in_a_process(infer, 12, 3, tmp_path) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "output1.npy"), np.arange(12) ** 2)


def test_a_sample_that_fails_fails_where_it_is_told(tmp_path: Path) -> None:
    def infer(index: int) -> list[Any]:
        if index == 6:
            raise ValueError
        return twice_and_square(index)

    assert in_a_process(infer, 12, 3, tmp_path) == 1


def test_forks_are_bound_to_the_process_that_built_the_model(tmp_path: Path) -> None:
    def work() -> None:
        os.chdir(tmp_path)

        def bind(parent: int) -> None:
            Path(f"bound{os.getpid()}").write_text(str(parent))

        simulate(twice_and_square, 40, 4, lambda done: None, bind)
        Path("builder").write_text(str(os.getpid()))

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(60)
    bound = [file.read_text() for file in tmp_path.glob("bound*")]
    assert bound == [(tmp_path / "builder").read_text()] * 3
