"""The benchmark of pruning: its samples, its scores and its rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.prunings.measuring import PruneSetup, Result, measure
from benchmarks.prunings.methods import (
    CLS,
    DEMO,
    DET,
    LITE0,
    METHODS,
    ORIENTATION,
    ORT,
    WHOLE,
    Cell,
    cells_of,
)
from benchmarks.prunings.pairs import pairs_of
from benchmarks.prunings.results import keep_result, read_results
from benchmarks.prunings.samples import labels_of, sample_set
from benchmarks.prunings.scores import by_source, interval, overlap, points, scored
from benchmarks.prunings.table import chip_row, pair_row, row_of
from rockpress.prune.prune import PruneMethod

ROOT = Path(__file__).resolve().parents[2]
CELL = Cell(DEMO, "rockpress", 0.3, "rk3588", 8, 20)


def test_every_method_is_one_that_prune_has() -> None:
    for one in METHODS:
        repair = "least-squares" if one.recover == "distill" else one.recover
        assert PruneMethod(one.criterion, one.allocation, repair)
    assert len({one.name for one in METHODS}) == len(METHODS)


def test_the_unpruned_model_comes_before_its_curves() -> None:
    names = [one.name for one in METHODS]
    cells = list(cells_of([CLS, DEMO], names, [0.2, 0.4], [ORT, "rk3588"], (8, 9)))
    assert len({cell.key for cell in cells}) == len(cells) == 2 * 2 * (1 + 2 * len(names))
    assert next(cell.method for cell in cells if cell.model == CLS) == WHOLE
    assert cells[0].model == DEMO


@pytest.mark.parametrize("model", [DEMO, DET, ORIENTATION])
def test_samples_repeat_and_roles_differ(model: str, tmp_path: Path) -> None:
    calib, test = (sample_set(model, role, 3, tmp_path) for role in ("calib", "test"))
    again = sample_set(model, "test", 3, tmp_path / "again")
    first, second, third = (np.load(one.together) for one in (calib, test, again))
    assert np.array_equal(second, third)
    assert first.shape == second.shape
    assert not np.array_equal(first, second)
    assert np.abs(second).max() < 4
    labels = labels_of(model, test)
    assert (labels is None) == (model == DET)
    assert labels is None or set(labels) <= set(range(10))


def test_scores_by_hand() -> None:
    right, wrong = np.array([[9.0, 0.0], [0.0, 9.0]]), np.array([[9.0, 0.0], [9.0, 0.0]])
    assert scored(CLS, Path(), right, wrong, [0, 1], ["", ""]) == 0.5
    unsure = np.array([[9.0, 0.0, 0.0], [0.1, 0.0, 0.0]])
    assert scored(LITE0, Path(), unsure, unsure[:, ::-1], None, ["", ""]) == 0
    assert scored(LITE0, Path(), unsure, unsure, None, ["", ""]) == 1
    maps = np.array([[0.9, 0.1, 0.4]]), np.array([[0.2, 0.1, 0.4]])
    assert scored(DET, Path(), *maps, None, [""]) == 0.5
    assert overlap(np.zeros(3) > 1, np.zeros(3) > 1) == 1
    low, high = interval(0.5, 100)
    assert low == pytest.approx(0.404, abs=1e-3)
    assert high == pytest.approx(0.596, abs=1e-3)


def test_rows_are_against_the_unpruned_model_of_the_same_place() -> None:
    whole = Result("", 0.9, cycles=1000, size=500)
    result = Result("", 0.81, predicted=0.7, macs=0.6, cycles=690, size=400, judged=4, cut=2)
    row = row_of(CELL, result, whole)
    assert row[3:8] == ["-30%", "-30.0%", "-31.0%", "-40.0%", "-20.0%"]
    assert row[8] == "0.810"
    assert row[10:] == ["0.900", "", "0.0000", "", "6"]
    chosen = replace(result, divergence=0.25, plans={"uniform": 0.1, "searched": 0.2})
    assert row_of(CELL, chosen, whole)[12:14] == ["0.2500", "uniform"]
    agreeing = row_of(CELL, replace(result, agreement=0.75), whole)[11]
    assert agreeing.startswith("0.750 (0.")
    assert row_of(replace(CELL, method=WHOLE, share=0), whole, whole)[4:8] == [""] * 4
    failed = row_of(CELL, Result("out of | reach"), whole)
    assert failed[4] == "failed: out of / reach"
    assert len(row) == len(failed)


def test_a_cut_for_another_chip_is_a_cell_of_its_own() -> None:
    cuts = [("rk3588", "cycles", 0), ("rk3576", "latency", 0), ("rk3588", "cycles", 2)]
    cells = list(cells_of([CLS], ["rockpress"], [0.2], [ORT], (8, 9), cuts))
    assert len({cell.key for cell in cells}) == 4
    assert cells[1].key == "ppocr-cls/rockpress/0.2/onnxruntime/8+9"
    result = Result("", 0.9, divergence=0.5, times={"rk3588": 0.9, "rk3576": 0.8})
    row = chip_row(cells[2], result)
    assert row[3:7] == ["rk3576", "latency -20%", "rk3588 -10.0%, rk3576 -20.0%", "0.900"]
    assert row_of(cells[3], result, None)[3] == "-20% rk3588-cycles-2"


def test_samples_of_one_source_are_counted_together() -> None:
    labels = [0, 1, 1]
    found = np.array([[9.0, 0.0], [0.0, 9.0], [9.0, 0.0]])
    worth = points(CLS, Path(), found, found, labels, [""] * 3)
    assert by_source(worth, ["a", "a", "b"]) == {"a": (2.0, 2), "b": (0.0, 1)}
    unsure = np.zeros((3, 3))
    assert by_source(points(LITE0, Path(), unsure, unsure, None, [""] * 3), ["a"] * 3) == {}


def test_methods_are_compared_at_equal_cycles() -> None:
    """Ours is right in one source of ten more; the other cell is too far off to compare with."""
    ours = {f"s{index}": (1.0, 2) for index in range(10)}
    theirs = {**ours, "s3": (0.0, 2)}
    whole, other = replace(CELL, method=WHOLE, share=0.0), replace(CELL, method="uniform")
    far = replace(other, share=0.4)
    results = {
        whole.key: Result("", 1.0, cycles=100, points=ours),
        CELL.key: Result("", 1.0, cycles=70, points=ours),
        other.key: Result("", 0.9, cycles=72, points=theirs),
        far.key: Result("", 0.9, cycles=60, points=theirs),
    }
    (pair,) = pairs_of([whole, CELL, other, far], results)
    assert (pair.other, pair.cycles, pair.other_cycles) == (other, 0.7, 0.72)
    assert pair.difference == pytest.approx(0.05)
    assert pair.interval == pytest.approx((0.0, 0.15))
    assert pair_row(pair)[2:6] == ["-30.0%", "uniform", "-28.0%", "+0.050"]


def test_results_are_kept_side_by_side(tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    for share in (0.1, 0.2):
        keep_result(file, replace(CELL, share=share), Result("", share))
    kept = read_results(file)
    assert [one.score for one in kept.values()] == [0.1, 0.2]


@pytest.mark.soak
def test_a_point_of_the_demo_is_measured(tmp_path: Path) -> None:
    setup = PruneSetup(tmp_path, 300, "min-max")
    cell = replace(CELL, runtime=ORT)
    result = measure(cell, [0.3, 0.99], setup)
    assert result.error == ""
    assert result.score is not None and result.score > 0.3
    assert result.predicted <= 0.7
    # the other share was tried with it, and cannot be had
    assert "out of reach" in measure(replace(cell, share=0.99), [0.3, 0.99], setup).error
