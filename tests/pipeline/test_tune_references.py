"""What the points of a search are held against: measured once, and no point of it."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from graphs import small_cnn
from rockpress.convert.chips.targets import find_target
from rockpress.core.graphs.model import save_model
from rockpress.core.progress import SILENT
from rockpress.core.results.tune_report import TuneReference
from rockpress.pipeline import tune_references
from rockpress.pipeline.recipes.recipe import Recipe, make_recipe
from rockpress.pipeline.search.default_space import search_space
from rockpress.pipeline.search.journal import Journal
from rockpress.pipeline.search.points import Failure, Measure, Outcome, Point
from rockpress.pipeline.search.recipe_evaluator import ALL, HELD_OUT
from rockpress.pipeline.tune_references import FLOAT16, TOOLKIT, TuneReferences

MEASURE = Measure(2.0, 0.99, 0.98, 1.0, {"ms": 2.0, "float_metric": 0.9})
UNSEEN = Measure(2.0, 0.97, 0.95, 0.99, {"ms": 2.0, "float_metric": 0.88})


class Asked:
    """Stands in for the evaluator, and notes what is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.points: list[tuple[Point, int]] = []

    def submit(self, point: Point, rung: int) -> Future[Outcome]:
        self.points.append((point, rung))
        self.folder_of(point).mkdir(exist_ok=True)
        future: Future[Outcome] = Future()
        future.set_result(UNSEEN if rung == HELD_OUT else MEASURE)
        return future

    def folder_of(self, point: Point) -> Path:
        return self.folder / point.digest


@pytest.fixture
def toolkit_runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rungs on which the toolkit's quantizer was measured."""
    rungs: list[int] = []

    def outcome(recipe: Recipe, rknn: Path, rung: int, goal: str) -> Outcome:
        rungs.append(rung)
        return Failure("it does not build")

    monkeypatch.setattr(tune_references, "toolkit_outcome", outcome)
    return rungs


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    save_model(small_cnn(), tmp_path / "m.onnx")
    return make_recipe(tmp_path / "m.onnx", eval=tmp_path / "labelled")


def references(recipe: Recipe, folder: Path, chip: str = "rk3588", goal: str = "latency") -> Any:
    journal = Journal(folder / "trials.jsonl", "search")
    asked: Any = Asked(folder)
    return TuneReferences(recipe, find_target(chip), goal, asked, journal)


def rows_of(measured: TuneReferences) -> dict[str, TuneReference]:
    return {row.name: row for row in measured.rows([])}


def test_each_is_measured_once_on_seen_and_unseen_samples(
    recipe: Recipe, toolkit_runs: list[int], tmp_path: Path
) -> None:
    first = references(recipe, tmp_path)
    first.measure([], SILENT)
    assert first.evaluator.points == [(FLOAT16, ALL), (FLOAT16, HELD_OUT)]
    assert toolkit_runs == [ALL, HELD_OUT]
    again = references(recipe, tmp_path)
    again.measure([], SILENT)
    assert again.evaluator.points == [] and len(toolkit_runs) == 2
    assert rows_of(again) == rows_of(first)


def test_a_row_has_both_figures_and_a_failure_its_reason(
    recipe: Recipe, toolkit_runs: list[int], tmp_path: Path
) -> None:
    measured = references(recipe, tmp_path)
    measured.measure([], SILENT)
    rows = rows_of(measured)
    assert list(rows) == ["float-model", "float16", "toolkit"]
    half = rows["float16"]
    assert half.retention and half.unseen
    assert (half.cost, half.retention.low, half.unseen.value) == (2.0, 0.98, 0.97)
    assert rows["toolkit"].failure == "it does not build"
    model = rows["float-model"]
    assert model.cost is None  # in milliseconds of the chip there is none
    assert (model.figures["metric"], model.figures["unseen_metric"]) == (0.9, 0.88)


def test_files_stay_where_it_is_a_point_of_the_front(
    recipe: Recipe, toolkit_runs: list[int], tmp_path: Path
) -> None:
    for number, front in enumerate(([], [FLOAT16])):
        folder = tmp_path / str(number)
        folder.mkdir()
        references(recipe, folder).measure(front, SILENT)
        assert (folder / FLOAT16.digest).exists() == bool(front)


def test_float16_is_the_point_that_the_search_has_of_it(recipe: Recipe) -> None:
    space = search_space(recipe, find_target("rk3588"), "latency", {})
    assert FLOAT16 in space.first
    assert TOOLKIT not in space.first


@pytest.mark.parametrize(
    ("chip", "names"),
    [("rv1106", ["float-model", "toolkit"]), ("rk2118", ["float-model", "float16"])],
)
def test_a_chip_has_those_of_its_number_formats(
    chip: str, names: list[str], recipe: Recipe, toolkit_runs: list[int], tmp_path: Path
) -> None:
    measured = references(recipe, tmp_path, chip, "size")
    measured.measure([], SILENT)
    assert list(rows_of(measured)) == names
    assert rows_of(measured)["float-model"].cost == recipe.model.stat().st_size
    assert bool(toolkit_runs) == ("toolkit" in names)


def test_without_labels_there_are_no_unseen_samples(
    recipe: Recipe, toolkit_runs: list[int], tmp_path: Path
) -> None:
    measured = references(recipe.with_options(eval=None), tmp_path)
    measured.measure([], SILENT)
    assert toolkit_runs == [ALL]
    assert rows_of(measured)["float-model"].unseen is None
