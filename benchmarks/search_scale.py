"""What a search on 200 machines costs the one that leads it, and where it would break first.

The search, its sampler, its file of trials and its report are the real ones; the machines are
simulated. Trials take what those of the demo took in CPU seconds, as tune.py measured them
(benchmarks/searches/trial_seconds.csv); one in twenty takes eight times as long, and one worker in
fifty is lost in a trial. The first table is the cluster's, with points by chance, which cost next
to nothing to ask for; the second is what TPE costs that knows so many trials.

    python benchmarks/search_scale.py [--quick]
"""

from __future__ import annotations

import argparse
import csv
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from benchmarks.searches.simulation import SPACE, SimulatedCluster, Troubles, true_figures
from rockpress.core.files import write_text
from rockpress.core.results.report import ToolVersion
from rockpress.core.results.tune_report import TuneReport
from rockpress.pipeline.search.front import hypervolume
from rockpress.pipeline.search.journal import Journal
from rockpress.pipeline.search.points import Measure, Point, Trial
from rockpress.pipeline.search.sampler import Kind, OptunaSampler
from rockpress.pipeline.search.search import Search, SearchLimits
from rockpress.pipeline.search.space import Space
from rockpress.pipeline.tune_point import tune_point
from rockpress.report.documents.tune_document import tune_text

_TIMES = Path(__file__).with_name("searches") / "trial_seconds.csv"
_HEADINGS = (
    "sampler | trials | workers | batch | minutes | workers at work | hypervolume | lost | "
    "failed | CPU s | of a report | trials.jsonl MB | memory MB"
)
_ASKS, _AT_WORK = 10, 400


@dataclass(frozen=True)
class Case:
    """A search: so many trials by so many workers."""

    trials: int
    workers: int
    batch: int
    kind: Kind = "tpe"
    troubles: Troubles = Troubles()


def read_times() -> dict[int, list[float]]:
    """Return the seconds of trials by rung: 1 on few samples, 2 on all."""
    times: dict[int, list[float]] = {1: [], 2: []}
    with _TIMES.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            times[int(row["rung"])].append(float(row["seconds"]))
    return times


def row_of(case: Case) -> str:
    """Return what came of a case as a row of the table."""
    cluster = SimulatedCluster(case.workers, read_times(), case.troubles)
    sampler = OptunaSampler(Space(SPACE.knobs, (SPACE.canonical({}),)), 0, case.kind)
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "trials.jsonl", "scale")
        begun = time.process_time()
        limits = SearchLimits(case.trials, batch=case.batch)
        trials = Search(
            sampler, cluster, journal, limits, clock=cluster.clock, wait_for_any=cluster.wait
        ).run()
        cpu = time.process_time() - begun
        size = journal.path.stat().st_size / 1e6
        reporting = _report_seconds(trials, Path(folder) / "tune.json")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cells = (
        *(case.kind, len(trials), case.workers, case.batch, f"{cluster.now / 60:.1f}"),
        f"{cluster.busy / (cluster.now * case.workers):.0%}",
        f"{_area(trials):.4f}",
        *(cluster.lost, sum(bool(trial.failure) for trial in trials), f"{cpu:.0f}"),
        *(f"{reporting:.2f}", f"{size:.1f}", f"{memory:.0f}"),
    )
    return " | ".join(map(str, cells))


def _area(trials: Sequence[Trial]) -> float:
    """Return what the front dominates, by its lower bounds, of 14 ms and half of the retention."""
    measures = [trial.measure for trial in trials if len(trial.outcomes) == 3]
    return hypervolume([measure for measure in measures if measure], 14.0, 0.5) / (14.0 * 0.5)


def _report_seconds(trials: Sequence[Trial], file: Path) -> float:
    """Return the CPU seconds of writing the report of all trials once."""
    begun = time.process_time()
    points = tuple(tune_point(trial, None, is_on_front=False) for trial in trials)
    version = ToolVersion("scale")
    report = TuneReport(
        tool=version,
        toolkit=version,
        model="m.onnx",
        target="rk3588",
        goal="latency",
        measures="top1",
        points=points,
        front=(),
        chosen=None,
        pick="retention=0.98",
        seconds=0.0,
        is_final=False,
        ended_by="",
    )
    write_text(file, tune_text(report))
    return time.process_time() - begun


def cases(*, is_quick: bool) -> list[Case]:
    """Return what is simulated."""
    if is_quick:
        return [Case(150, 50, 25), Case(500, 50, 100, "random")]
    calm = Troubles(0.0, 1.0, 0.0)
    return [
        *(Case(5000, 200, batch, "random") for batch in (50, 100, 200, 400, 800)),
        Case(5000, 200, 100, "random", calm),
        *(Case(500, 200, batch) for batch in (10, 100)),
    ]


def ask_row_of(trials: int) -> str:
    """Return what TPE takes for a point when it was told of so many and 400 more are at work."""
    sampler = OptunaSampler(Space(SPACE.knobs, ()), 0, "random")
    for _ in range(trials):
        number, point = sampler.ask(()) or (0, Point(()))
        cost, true = true_figures(point)
        sampler.tell(number, Measure(cost, true, true - 0.01, true + 0.01))
    for _ in range(_AT_WORK):
        sampler.ask(())
    sampler.study.sampler = OptunaSampler(Space(SPACE.knobs, ()), 0).study.sampler
    sampler.ask(())
    begun = time.process_time()
    for _ in range(_ASKS):
        sampler.ask(())
    seconds = (time.process_time() - begun) / _ASKS
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"{trials} | {seconds:.3f} | {memory:.0f}"


def main() -> None:
    """Print a row a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two small searches")
    quick = parser.parse_args().quick
    print(_HEADINGS)
    # each in a process of its own, whose memory is told
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for row in pool.imap(row_of, cases(is_quick=quick), 1):
            print(row, flush=True)
        print("\ntrials told | CPU s an ask | memory MB")
        for row in pool.imap(ask_row_of, (100, 500) if quick else (100, 500, 1000, 2000, 5000), 1):
            print(row, flush=True)


if __name__ == "__main__":
    main()
