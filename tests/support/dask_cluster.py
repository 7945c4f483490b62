"""A dask cluster of this machine: a scheduler and workers, each a process that can be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from rockpress.pipeline.cluster import trial_worker

REAL_TRIAL = trial_worker.remote_trial
_SECONDS = 300  # for what takes ten, on a machine that is busy


class DaskCluster:
    """A scheduler and a process that keeps so many workers, with files in a folder."""

    def __init__(self, folder: Path, workers: int, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._environment = {**os.environ, **environment, "PYTHONPATH": os.pathsep.join(sys.path)}
        place = folder / "scheduler.json"
        words = ("--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(place))
        self.scheduler = self._started("dask_scheduler", *words)
        wait_until(place.exists)
        wait_until(lambda: place.read_text().endswith("}"))
        self.address = str(json.loads(place.read_text())["address"])
        self._keepers = [self.keeper(workers)] if workers else []

    def keeper(self, workers: int, **environment: str) -> subprocess.Popen[bytes]:
        """Start so many workers, and what starts others in place of those that are killed."""
        local = ("--local-directory", str(self.folder / "local"), "--death-timeout", "300")
        words = (self.address, "--nworkers", str(workers), "--nthreads", "1", *local)
        return self._started("dask_worker", *words, **environment)

    def workers(self) -> list[psutil.Process]:
        """Return the processes that are workers just now."""
        found = []
        for keeper in self._keepers:
            for process in _below(keeper.pid):
                with suppress(psutil.Error):
                    if "multiprocessing.spawn" in " ".join(process.cmdline()):
                        found.append(process)
        return found

    def stop(self) -> None:
        """End all processes."""
        for process in (*self._keepers, self.scheduler):
            below = _below(process.pid)
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            for each in below:
                with suppress(psutil.Error):
                    each.kill()
            process.kill()
            process.wait()

    def _started(self, name: str, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{name}", *words, "--no-dashboard"],
                env={**self._environment, **environment},
                stderr=log,
                stdout=log,
            )


@contextmanager
def dask_cluster(folder: Path, workers: int, **environment: str) -> Iterator[DaskCluster]:
    """Yield a cluster with a cache of its own; none of its processes is left afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    places = {"ROCKPRESS_CACHE_DIR": str(folder / "cache"), **environment}
    cluster = DaskCluster(folder, workers, places)
    try:
        yield cluster
    finally:
        cluster.stop()


def wait_until(holds: Callable[[], object]) -> None:
    """Wait for something that is sure to come."""
    end = time.monotonic() + _SECONDS
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


def trials_below(folder: Path) -> list[psutil.Process]:
    """Return the processes of trials that are at work in a folder, or below it."""
    trials = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            is_there = Path(process.cwd()).is_relative_to(folder)
            if is_there and "recipe.toml" in process.cmdline():
                trials.append(process)
    return trials


def _below(number: int) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return list(psutil.Process(number).children(recursive=True))
    return []


# called in a worker by their names


def pretend_version(version: str) -> None:
    """Let a worker say that it has another rockpress."""
    trial_worker.environment.cache_clear()
    setattr(trial_worker, "rockpress_version", lambda: version)  # noqa: B010


def pretend_reply(answer: object) -> None:
    """Let a worker give this back for each trial; None for what comes of it."""
    reply = REAL_TRIAL if answer is None else lambda trial: answer
    setattr(trial_worker, "remote_trial", reply)  # noqa: B010
