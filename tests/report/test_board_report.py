"""A report of what was measured on a board, in every format, and beside an earlier one."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import pytest

from result_reports import ON_BOARD, PASSED, REPORTS
from rockpress.core.results.board_comparison import (
    LayerComparison,
    LayerDifference,
    SimulatorFigure,
)
from rockpress.core.results.board_figures import UNTRIED
from rockpress.core.results.report import Report, TargetReport
from rockpress.report.documents.document import comparable, to_document, to_json
from rockpress.report.documents.report_reader import read_report
from rockpress.report.formats import rendered
from rockpress.report.text.board_text import board_lines
from rockpress.report.text.changes import changes_since, result_figures
from rockpress.report.text.verdict import target_verdict

REPORT = REPORTS["board"]


@pytest.mark.parametrize("suffix", [".html", ".md"])
def test_what_is_looked_at_says_that_it_is_the_boards(suffix: str) -> None:
    text = rendered(REPORT, suffix).replace("&#x27;", "'").replace("&#39;", "'")
    assert "kept on the board" in text
    assert "Orange Pi 5, rk3588, runtime 2.3.2, driver 0.9.8" in text
    assert "1.17 times the estimate" in text
    assert "agreement 99.2% (97.8 to 99.7%), SQNR 33.4 dB, which rounding explains" in text
    assert UNTRIED in text


def test_the_page_draws_the_measured_time_below_the_estimate() -> None:
    page = rendered(REPORT, ".html")
    bars = page.partition("Latency of the NPU alone")[2].partition("Memory while it runs")[0]
    texts = re.findall(r">([^<>]+)<", bars)
    assert texts[-4:-2] == ["rknn", "1.46 ms"] and texts[-2:] == ["rknn on the board", "1.71 ms"]
    assert "on the board" not in rendered(REPORTS["pass"], ".html")


def test_the_document_is_read_back_as_it_was() -> None:
    again = read_report(json.loads(to_json(REPORT)))
    assert again.targets[0].board == ON_BOARD.board
    row = to_document(REPORT)["targets"][0]["models"][-1]
    assert [figure["kind"] for figure in row["latency"]] == ["board", "npu-estimate"]
    assert "board" not in to_document(REPORTS["pass"])["targets"][0]


def test_the_times_of_a_board_are_left_out_where_two_runs_are_compared() -> None:
    board = ON_BOARD.board
    assert board is not None
    slower = replace(board, run_ms=replace(board.run_ms, p50=1.9), is_settled=False)
    first, second = (
        comparable(to_document(replace(REPORT, targets=(target,))))
        for target in (ON_BOARD, replace(ON_BOARD, board=slower))
    )
    assert first == second
    other = replace(ON_BOARD, board=replace(board, runtime="2.4.0"))
    assert comparable(to_document(replace(REPORT, targets=(other,)))) != first


def with_simulator(simulator: SimulatorFigure | None) -> TargetReport:
    assert ON_BOARD.board is not None
    return replace(ON_BOARD, board=replace(ON_BOARD.board, simulator=simulator))


def test_without_a_simulator_it_says_so() -> None:
    lines = board_lines(with_simulator(None))
    assert lines[-1] == "nothing was simulated: all figures of the result are the board's"
    assert len(lines) == 3


def test_a_difference_beyond_rounding_is_said() -> None:
    assert ON_BOARD.board is not None and ON_BOARD.board.simulator is not None
    far = replace(ON_BOARD.board.simulator, sqnr_db=9.5, agreement=None, is_rounding=False)
    text = "the board against the simulator: SQNR 9.5 dB, more than rounding explains"
    assert text in board_lines(with_simulator(far))


def test_without_labels_the_verdict_says_where_it_ran() -> None:
    unlabelled = replace(
        ON_BOARD, retention=REPORTS["no-labels"].targets[0].retention, gates=PASSED.gates[1:]
    )
    assert "unknown, agreement with the baseline 95.2% (86.6 to 98.4%) on the board;" in str(
        target_verdict(unlabelled)
    )


def test_changes_are_of_like_figures() -> None:
    """The estimate and the simulator where one of the two reports has no board's."""
    changes = {each.name: each.change for each in changes_since(PASSED, ON_BOARD)}
    assert changes == {"size": 0.0, "cycles": 0.0, "latency": 0.0, "retention": 0.0}
    slower = replace(
        ON_BOARD,
        models=(
            *ON_BOARD.models[:3],
            replace(
                ON_BOARD.models[3],
                latency=(
                    replace(ON_BOARD.models[3].latency[0], ms=3.42),
                    *ON_BOARD.models[3].latency[1:],
                ),
            ),
        ),
    )
    both = {each.name: each.change for each in changes_since(ON_BOARD, slower)}
    assert both["latency"] == pytest.approx(1.0) and both["retention"] == 0.0
    assert result_figures(ON_BOARD)["retention"] == 0.986
    assert result_figures(ON_BOARD, on_board=True)["retention"] == 0.9836


def with_layers(layers: LayerComparison) -> Report:
    assert ON_BOARD.board is not None
    board = replace(ON_BOARD.board, layers=layers)
    return replace(REPORT, targets=(replace(ON_BOARD, board=board),))


AGREES = LayerDifference("stem", "ConvRelu", 0.02, math.inf, 0.0, 0.0, is_rounding=True)
ROUNDED = LayerDifference("block1", "ConvAdd", 0.05, 48.2, 1.0, 0.0, is_rounding=True)
WRONG = LayerDifference("block2", "Conv", None, 9.4, 211.0, 0.125, is_rounding=False)
LAYERS = LayerComparison(8, 40, 2, (AGREES, ROUNDED, WRONG), "block2", 41.5, is_joined=False)


@pytest.mark.parametrize("suffix", [".html", ".md", ".xml"])
def test_the_layer_that_differs_first_is_in_every_format(suffix: str) -> None:
    text = rendered(with_layers(LAYERS), suffix).replace("&#x27;", "'").replace("&#39;", "'")
    assert "first layer that differs beyond rounding: 'block2' (Conv), SQNR 9.4 dB" in text
    if suffix != ".xml":
        words = " ".join(text.split())
        assert "3 of 40 layers were looked at, as outputs of 2 builds" in words
        assert "have 41.5 dB against those without" in words
        assert "most steps" in text and "12.5%" in text


def test_layers_that_agree_are_said_to() -> None:
    alike = replace(LAYERS, layers=(AGREES,), first=None, outputs_db=math.inf)
    lines = board_lines(with_layers(alike).targets[0])
    assert lines[-2] == "no layer differs on the board from the simulator"
    assert lines[-1].endswith("the model's own outputs on the board are the same as those without")
    rounded = replace(LAYERS, layers=(AGREES, ROUNDED), first=None)
    (line,) = (each for each in board_lines(with_layers(rounded).targets[0]) if "block1" in each)
    assert line.endswith("the most 'block1' (ConvAdd), SQNR 48.2 dB, by up to 1 step")


def test_values_that_are_not_finite_are_said_to_be() -> None:
    broken = replace(WRONG, max_steps=math.inf, sqnr_db=-math.inf)
    lines = board_lines(with_layers(replace(LAYERS, layers=(broken,))).targets[0])
    assert "'block2' (Conv), values that are not finite" in lines[-2]


def test_layers_are_read_back_as_they_were() -> None:
    report = with_layers(LAYERS)
    again = read_report(json.loads(to_json(report)))
    assert again.targets[0].board == report.targets[0].board
    assert "layers" not in to_document(REPORT)["targets"][0]["board"]
