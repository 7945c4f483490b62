"""A search of the toy on a cluster whose workers are killed, differ, or answer what is no reply."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

import toy_search as toy
from dask_cluster import (
    DaskCluster,
    dask_cluster,
    pretend_reply,
    pretend_version,
    trials_below,
    wait_until,
)
from rockpress.core.errors import ClusterError
from rockpress.core.version import rockpress_version
from rockpress.pipeline.cluster.bundle import bundle_of
from rockpress.pipeline.cluster.cluster_runner import MOST_STARTS, ClusterRunner
from rockpress.pipeline.cluster.connection import connect, fitting_workers, require_fitting
from rockpress.pipeline.cluster.freight import Freight
from rockpress.pipeline.cluster.replies import Versions, WorkerEnvironment
from rockpress.pipeline.search.points import Failure, Measure
from rockpress.pipeline.search.trial_process import TrialJob
from rockpress.pipeline.search.trial_runner import TrialRunner
from rockpress.pipeline.tasks.installed_toolkit import require_toolkit

if TYPE_CHECKING:
    from distributed import Client

pytest.importorskip("distributed")
pytest.importorskip("optuna")
pytestmark = pytest.mark.toolkit
NOTHING = Freight((), {})
RECIPE = 'prune = "off"\nscheme = "w8a8"\n'
LIMITS = replace(toy.LIMITS, trials=12)
KILLS_ITS_WORKER = "import os, signal, time; os.kill(os.getppid(), signal.SIGKILL); time.sleep(600)"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    folder = tmp_path_factory.mktemp("cluster")
    told = toy.prepare(folder / "toy")
    with dask_cluster(folder, 2, TOY_SECONDS="0.2", **told) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def versions() -> Versions:
    return Versions(rockpress_version(), require_toolkit(None))


@pytest.fixture
def client(cluster: DaskCluster) -> Iterator[Client]:
    client = connect(cluster.address, 60, 300)
    client.wait_for_workers(2, timeout=300)
    yield client
    client.close()


def runner_of(client: Client, versions: Versions, freight: Freight = NOTHING) -> ClusterRunner:
    return ClusterRunner(client, freight, versions, None, 2)


def toy_job(folder: Path, program: Sequence[str] = toy.PROGRAM) -> TrialJob:
    return TrialJob(RECIPE, folder / "point", 1, "latency", program=tuple(program))


def searched(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    runner: TrialRunner | None = None,
    workers: int = 2,
) -> list[dict[str, Any]]:
    """Return all trials of a search, by the runner or by processes of this machine."""
    toy.measure_by_toy(folder, monkeypatch)
    evaluator = replace(toy.toy_evaluator(toy.toy_recipe(folder), folder), workers=workers)
    if runner is not None:
        evaluator = replace(evaluator, runner=runner)
    with closing(evaluator):
        trials = toy.toy_search(folder, evaluator, limits=LIMITS)
    return [asdict(trial) for trial in trials]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict[str, Any]]]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield searched(tmp_path_factory.mktemp("local"), monkeypatch)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_cluster_of_any_size_gives_the_same_search(
    workers: int,
    client: Client,
    versions: Versions,
    undisturbed: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runner = runner_of(client, versions)
    assert searched(tmp_path, monkeypatch, runner, workers) == undisturbed


def test_workers_that_are_killed_change_nothing(
    cluster: DaskCluster,
    client: Client,
    versions: Versions,
    undisturbed: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_over = threading.Event()
    killed: list[int] = []

    def kill_some() -> None:
        chance = random.Random(5)
        # a trial that loses as many workers as it may have starts is a failure, and rightly so
        while len(killed) < MOST_STARTS - 1 and not is_over.wait(chance.uniform(0.5, 2.5)):
            if len(workers := cluster.workers()) == 2:  # one of them goes on
                victim = chance.choice(workers)
                with suppress(psutil.Error):
                    victim.kill()
                    killed.append(victim.pid)

    killer = threading.Thread(target=kill_some)
    killer.start()
    try:
        trials = searched(tmp_path, monkeypatch, runner_of(client, versions))
    finally:
        is_over.set()
        killer.join()
    assert killed
    assert trials == undisturbed
    wait_until(lambda: not trials_below(cluster.folder))


def test_a_trial_whose_workers_are_lost_fails_alone(
    cluster: DaskCluster, client: Client, versions: Versions, tmp_path: Path
) -> None:
    runner = runner_of(client, versions)
    program = ("-c", KILLS_ITS_WORKER)
    assert runner.run(toy_job(tmp_path, program), with_files=False) == Failure(
        "the workers that ran it were lost, one after the other"
    )
    client.wait_for_workers(1, timeout=300)
    assert isinstance(runner.run(toy_job(tmp_path / "2"), with_files=True), Measure)
    assert (tmp_path / "2" / "point" / "report.json").exists()
    wait_until(lambda: not trials_below(cluster.folder))


def test_a_worker_with_another_version_is_named(
    client: Client, versions: Versions, tmp_path: Path
) -> None:
    other = sorted(client.nthreads())[0]
    client.run(pretend_version, "0.0.9", workers=[other])
    try:
        text = rf"worker {other} on .* has rockpress 0.0.9, and here it is {versions.rockpress}"
        with pytest.raises(ClusterError, match=text):
            fitting_workers(client, None, versions)
        client.run(pretend_version, "0.0.9")  # as if it came later
        with pytest.raises(ClusterError, match=r"has rockpress 0\.0\.9"):
            runner_of(client, versions).run(toy_job(tmp_path), with_files=False)
    finally:
        client.run(pretend_version, versions.rockpress)
    has = WorkerEnvironment(versions.rockpress, versions.toolkit, "lab1")
    require_fitting("w", replace(has, has_torch=True), versions, trains=True)
    with pytest.raises(ClusterError, match="the worker w on lab1 has no PyTorch"):
        require_fitting("w", has, versions, trains=True)
    other_toolkit = replace(versions, toolkit="2.4.0")
    with pytest.raises(ClusterError, match=r"has no rknn-toolkit2 2\.4\.0"):
        fitting_workers(client, None, other_toolkit)
    assert fitting_workers(client, None, versions) == 2


def test_an_answer_that_is_no_reply_is_a_failure_and_writes_nothing(
    client: Client, versions: Versions, tmp_path: Path
) -> None:
    runner = runner_of(client, versions)
    has = {"rockpress": versions.rockpress, "toolkit": versions.toolkit, "host": "h"}
    measured = {"worker": "w", "store": "s", "environment": has} | {
        "measure": {"cost": 1.0, "retention": 1.0, "low": 0.9, "high": 1.0, "figures": {}}
    }
    answers = [None, "x", {"measure": 3}, (measured, {"../../evil": b"x"}), (measured, {"a": "x"})]
    try:
        for answer in answers[1:]:
            client.run(pretend_reply, answer)
            outcome = runner.run(toy_job(tmp_path / "in"), with_files=True)
            assert isinstance(outcome, Failure)
            assert outcome.reason.startswith("a worker answered what is no reply: ")
    finally:
        client.run(pretend_reply, None)
    assert list(tmp_path.rglob("*")) == []


def test_files_that_change_in_the_search_end_it(
    client: Client, versions: Versions, tmp_path: Path
) -> None:
    (tmp_path / "m.onnx").write_bytes(b"before")
    bundle = bundle_of({tmp_path / "m.onnx": None})
    (tmp_path / "m.onnx").write_bytes(b"behind")
    runner = runner_of(client, versions, Freight((bundle,), {}))
    with pytest.raises(ClusterError, match="has changed meanwhile"):
        runner.run(toy_job(tmp_path), with_files=False)


def test_without_a_worker_there_is_one_error(versions: Versions, tmp_path: Path) -> None:
    from distributed import Client

    with dask_cluster(tmp_path / "empty", 0) as cluster:
        with pytest.raises(ClusterError, match="has no worker, and none came within 1 s"):
            connect(cluster.address, 60, 1)
        client = Client(cluster.address, timeout=60, set_as_default=False)
        runner = replace(runner_of(client, versions), patience=0)
        with closing(runner), pytest.raises(ClusterError, match="all workers of the cluster"):
            runner.run(toy_job(tmp_path), with_files=False)
