"""The simulated cluster of benchmarks/search_scale.py, under a real search."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.search_scale import read_times
from benchmarks.searches.simulation import SPACE, SimulatedCluster, Troubles
from rockpress.pipeline.search.journal import Journal
from rockpress.pipeline.search.points import Trial
from rockpress.pipeline.search.sampler import OptunaSampler
from rockpress.pipeline.search.search import Search, SearchLimits
from rockpress.pipeline.search.space import Space

pytest.importorskip("optuna")


def simulated(
    folder: Path, workers: int, troubles: Troubles
) -> tuple[tuple[Trial, ...], SimulatedCluster]:
    cluster = SimulatedCluster(workers, read_times(), troubles)
    sampler = OptunaSampler(Space(SPACE.knobs, (SPACE.canonical({}),)), 3)
    journal = Journal(folder / f"{workers}.jsonl", "scale")
    limits = SearchLimits(40, batch=8)
    wait = cluster.wait
    search = Search(sampler, cluster, journal, limits, clock=cluster.clock, wait_for_any=wait)
    return search.run(), cluster


def test_the_number_of_workers_and_their_losses_change_nothing(tmp_path: Path) -> None:
    few, slow = simulated(tmp_path, 2, Troubles(losses=0.1))
    many, fast = simulated(tmp_path, 16, Troubles(losses=0.1))
    assert few == many
    assert slow.lost == fast.lost > 0
    assert fast.now < slow.now
    assert fast.busy == pytest.approx(slow.busy)


def test_a_trial_whose_workers_are_lost_each_time_fails(tmp_path: Path) -> None:
    trials, cluster = simulated(tmp_path, 4, Troubles(losses=1.0))
    assert all(trial.failure for trial in trials)
    assert cluster.lost == 2 * len(trials)
