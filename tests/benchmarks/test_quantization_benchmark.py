"""The benchmark that compares quantizers: its samples, its scores and its rows."""

from __future__ import annotations

import ast
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.conversions import plain
from benchmarks.quantizations.bootstrap import difference
from benchmarks.quantizations.lines import lines
from benchmarks.quantizations.methods import CLS, METHODS, NAMES, REC, cells_of
from benchmarks.quantizations.quantizing import Cost
from benchmarks.quantizations.results import Result, keep_result, read_results
from benchmarks.quantizations.scores import Scores, decibels, scored
from benchmarks.quantizations.text import characters_right, read_text

ROOT = Path(__file__).resolve().parents[2]
PARTS = ROOT / "benchmarks" / "quantizations"


def test_no_test_line_says_what_a_calibration_line_says() -> None:
    first, second = ([one.text for one in lines(role, 40, 48, 320)] for role in ("calib", "test"))
    assert len(set(first)) > 30 and not set(first) & set(second)


def test_lines_repeat_and_the_first_ones_stay_the_same() -> None:
    few, many = (list(lines("test", count, 48, 192, is_turned=True)) for count in (3, 5))
    for one, other in zip(few, many, strict=False):
        assert one.values.shape == (3, 48, 192)
        assert one.values.tobytes() == other.values.tobytes()
        assert -1 <= one.values.min() < one.values.max() <= 1


def test_every_second_line_of_the_direction_set_is_turned() -> None:
    upright, turned = (
        [one.values for one in lines("test", 2, 48, 192, is_turned=is_turned)]
        for is_turned in (False, True)
    )
    assert np.array_equal(upright[0], turned[0]) and not np.array_equal(upright[1], turned[1])


def test_reading_leaves_out_blanks_and_repetitions() -> None:
    steps = np.eye(4)[[0, 3, 3, 0, 3, 1, 2, 2]]
    assert read_text(steps, ["", "a", "b", " "]) == "  ab"
    assert characters_right(["  ab", "xy"], ["ab", "y"]) == pytest.approx(2 / 3)
    assert characters_right(["aaaaaaaa"], ["b"]) == 0


def test_scores_by_hand() -> None:
    wanted, found = np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[4.0, 3.0], [1.0, 0.0]])
    scores = scored(CLS, Path(), wanted, found, ["", ""])
    assert scores.signal == [25, 1] and scores.noise == [2, 0]
    assert scores.cosine == pytest.approx((24 / 25 + 1) / 2)
    assert scores.sqnr_db == pytest.approx(10 * math.log10(13))
    assert scores.agreement == 0.5 and scores.sure_agreement is None


def test_results_are_kept_side_by_side(tmp_path: Path) -> None:
    first, second = cells_of([CLS], [METHODS[0].name, METHODS[1].name], 8, 16)
    scores = Scores(0.9, 20.0, None, None, 0, 0.5, [1.0], [0.01])
    results = (
        Result("", Cost(0, 1.0, 2.0, 3.0), size=7, scores=scores),
        Result("no", Cost(1, 0, 0, 0)),
    )
    file = tmp_path / "results" / "r.json"
    keep_result(file, second, results[1])
    stored = keep_result(file, first, results[0])
    assert stored == read_results(file) == {first.key: results[0], second.key: results[1]}


def test_decibels_without_noise_or_signal() -> None:
    assert decibels(1, 0) == math.inf and decibels(0, 1) == -math.inf


def test_a_difference_that_all_samples_share_is_certain() -> None:
    noise = np.random.default_rng(0).exponential(1, 60)
    found = difference(
        [100.0] * 60, list(noise), list(noise * 10), [str(i // 3) for i in range(60)]
    )
    for value in (found.total, *found.total_interval, found.mean, *found.mean_interval):
        assert value == pytest.approx(10)


def test_a_source_alone_tells_nothing_of_the_spread() -> None:
    noise, other = [1.0, 2.0, 4.0, 8.0], [8.0, 1.0, 2.0, 4.0]
    joined = difference([100.0] * 4, noise, other, ["one"] * 4)
    single = difference([100.0] * 4, noise, other, list("abcd"))
    assert joined.total_interval == (joined.total, joined.total)
    assert single.total_interval[0] < single.total < single.total_interval[1]


def test_rows_have_names_of_their_own_and_every_model_has_some() -> None:
    names = [method.name for method in METHODS]
    cells = list(cells_of(list(NAMES), names, 1, 2))
    assert len(set(names)) == len(names)
    assert len({cell.key for cell in cells}) == len(cells)
    assert {cell.model for cell in cells} == set(NAMES)
    assert all(cell.model == REC for cell in cells_of([REC], names, 1, 2))


def test_names_borrowed_from_the_conversion_benchmark_exist() -> None:
    used = set(re.findall(r"plain\.(_\w+)\(", (PARTS / "toolkit_child.py").read_text()))
    assert used and all(hasattr(plain, name) for name in used)


@pytest.mark.parametrize("name", ["watch.py", "peer_child.py"])
def test_scripts_that_run_alone_import_nothing_of_the_package(name: str) -> None:
    tree = ast.parse((PARTS / name).read_text())
    imported = [node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not any(module.startswith((".", "benchmarks", "rockpress")) for module in imported)


@pytest.mark.parametrize(("limit", "code"), [(30.0, 3), (0.2, None)])
def test_a_watched_process_is_measured_or_ended(
    tmp_path: Path, limit: float, code: int | None
) -> None:
    wait = 0 if code else 60
    program = f"import sys, time; kept = b'x' * 60_000_000; time.sleep({wait}); sys.exit(3)"
    watch = [sys.executable, "-I", "-S", str(PARTS / "watch.py"), "cost.json", str(limit)]
    subprocess.run([*watch, sys.executable, "-c", program], cwd=tmp_path, check=True)
    cost = json.loads((tmp_path / "cost.json").read_text())
    assert cost["code"] == code and cost["seconds"] > 0
    assert cost["peak_mb"] > 60 or code is None
