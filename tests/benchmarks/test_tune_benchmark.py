"""The benchmark of the search: its ways over trials that are there, in the time of these."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from benchmarks.searches.measured_trials import MeasuredTrials, NotMeasured
from benchmarks.searches.search_arms import GRID, RANDOM, TUNE, grid_points, searched
from benchmarks.searches.search_rows import TrialRow, add_row, read_rows, row_of
from benchmarks.searches.search_table import figures_of, print_table
from benchmarks.searches.shared_work import Kind, seconds_of
from rockpress.convert.chips.targets import find_target
from rockpress.pipeline.recipes.recipe import make_recipe
from rockpress.pipeline.search.default_space import search_space
from rockpress.pipeline.search.points import Failure, Measure, Outcome, Point
from rockpress.pipeline.search.recipe_evaluator import ALL, FEW, PREDICTED
from rockpress.pipeline.search.space import Space

SPACE = search_space(make_recipe("m.onnx"), find_target("rk3588"), "latency", {})


def truth(point: Point) -> Measure:
    """Return a trade-off: half the cut is lost, int8 costs two points."""
    cut = float(str(point["prune"] or "latency=-0%")[9:-1]) / 100
    is_float = point["scheme"] == "float16"
    kept = 1 - cut / 2 - (0.0 if is_float else 0.02)
    return Measure((1.2 if is_float else 1.0) * (1 - cut), kept, kept - 0.01, kept + 0.01)


@dataclass
class Known:
    """Stands in for trials of a model: each takes ten seconds, and says who asked for it."""

    space: Space = SPACE
    model: str = "toy"
    stages: tuple[int, ...] = (PREDICTED, FEW, ALL)
    asked: list[tuple[Point, int]] = field(default_factory=list)

    def predicted(self, point: Point) -> Outcome:
        return Measure(truth(point).cost)

    def pay(self, row: TrialRow, paid: set[Kind]) -> float:
        return row.seconds

    def trial(self, point: Point, rung: int) -> Any:
        self.asked.append((point, rung))
        return row_of("toy", point, rung, truth(point), (10.0, 40.0, 3.0))


def search(trials: Any, way: str, seconds: float, workers: int = 1, seed: int = 0) -> Any:
    return searched(trials, way, seed, seconds, workers)


def test_the_grid_is_nine_points_of_the_space() -> None:
    points = grid_points()
    assert len(set(points)) == 9
    for point in points:
        assert SPACE.canonical(dict(point.settings)) == point


def test_what_the_grid_prunes_is_known_to_tune_in_each_of_its_formats() -> None:
    start = dict(SPACE.first[0].settings)
    crossed = {(point["scheme"], point["prune"]) for point in grid_points()}
    for scheme, prune in crossed:
        assert SPACE.canonical({**start, "scheme": scheme, "prune": prune}) in SPACE.first


def test_a_search_without_few_samples_measures_each_point_once() -> None:
    trials = Known(stages=(PREDICTED, ALL))
    search(trials, TUNE, 80.0)
    assert trials.asked == [(point, ALL) for point in SPACE.first[:8]]


def test_a_point_counts_that_came_to_its_end_in_the_time() -> None:
    trials = Known()
    grid = search(trials, GRID, 45.0)
    assert [at for at, _ in grid.points] == [10, 20, 30, 40]
    assert len(trials.asked) == 5  # what is begun before the end, and no more
    assert len(search(Known(), GRID, 1000.0).points) == 9


def test_two_workers_bring_twice_as_many_points_to_their_end() -> None:
    first, second = (len(search(Known(), RANDOM, 200.0, n).points) for n in (1, 2))
    assert 1.7 * first <= second <= 2.3 * first


@pytest.mark.parametrize("way", [TUNE, RANDOM])
def test_a_seed_gives_the_same_search_and_another_one_another(way: str) -> None:
    first, again, other = (search(Known(), way, 400.0, seed=seed) for seed in (0, 0, 1))
    assert first.points == again.points
    points = [[trial.point for _, trial in each.points] for each in (first, other)]
    assert points[0] != points[1]


def test_the_known_points_come_first_in_tune_alone() -> None:
    trials = Known()
    search(trials, TUNE, 80.0)
    assert [point for point, _ in trials.asked[:8]] == list(SPACE.first[:8])
    assert {rung for _, rung in trials.asked[:8]} == {FEW}
    drawn = Known()
    search(drawn, RANDOM, 80.0)
    assert [point for point, _ in drawn.asked[:8]] != list(SPACE.first[:8])


def test_a_search_pays_once_for_what_its_points_share(tmp_path: Path) -> None:
    pruned = {"prune": "latency=-10%", "rounds": None, "scheme": "w8a8"}
    seconds = {"off": 30.0, "auto": 10.0, "latency=+5%": 14.0}
    file = tmp_path / "rows.jsonl"
    for mixed, value in seconds.items():
        point = Point.of({**pruned, "mixed": mixed, "method": "auto"})
        add_row(file, row_of("toy", point, ALL, truth(point), (value, 40.0, 3.0)))
    trials = MeasuredTrials("toy", make_recipe(tmp_path / "m.onnx"), file, tmp_path, runs=False)
    rows, paid = read_rows(file), set[Kind]()
    off, auto, more = (trials.trial(row.point, ALL) for row in rows)
    assert [trials.pay(row, paid) for row in (auto, off, more)] == [28.0, 12.0, 14.0]
    alone = {**pruned, "prune": "latency=-20%"}
    other = row_of("toy", Point.of(alone), ALL, truth(Point.of(alone)), (20.0, 40.0, 3.0))
    assert seconds_of(other, [*rows, other], paid) == 20.0


def test_the_table_says_what_each_way_came_to(capsys: pytest.CaptureFixture[str]) -> None:
    trials: Any = Known()
    ways = (GRID, TUNE, RANDOM)
    figures = [figures_of(search(trials, way, 300.0), trials) for way in ways]
    by_way = {each.way: each for each in figures}
    assert by_way[GRID].points == 9
    assert all(0 < each.volume < each.unseen < 1 for each in figures)  # the lower end is lower
    assert by_way[TUNE].fastest is not None
    print_table("toy", 300.0, figures)
    out = capsys.readouterr().out
    assert all(f"| {way} |" in out for way in ways) and "tune less random" in out
    print_table("toy", 300.0, [each for each in figures if each.way != RANDOM])
    out = capsys.readouterr().out
    assert "random" not in out and "tune less grid" in out


def test_a_trial_is_run_once_and_read_back(tmp_path: Path) -> None:
    file, point = tmp_path / "rows.jsonl", SPACE.first[1]
    rows = [
        row_of("toy", point, 1, truth(point), (1.0, 2.0, 3.0)),
        row_of("toy", point, 2, Failure("no memory"), (1.0, 2.0, 3.0)),
    ]
    for row in rows:
        add_row(file, row)
    assert read_rows(file) == rows
    recipe = make_recipe(tmp_path / "m.onnx")
    trials = MeasuredTrials("toy", recipe, file, tmp_path, runs=False)
    assert [trials.trial(point, rung) for rung in (1, 2)] == rows
    assert rows[1].outcome == Failure("no memory")
    with pytest.raises(NotMeasured):
        trials.trial(point, 3)
    assert MeasuredTrials("other", recipe, file, tmp_path, runs=False)._rows == {}
