"""What ``bench`` says of a board: the lines of its screen, and its document."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rockpress.core.results.bench_figures import MeasuredLayer
from rockpress.core.results.board_figures import (
    BoardConditions,
    BoardFacts,
    ClockReading,
    ContextRate,
)
from rockpress.report.documents.bench_document import bench_document
from rockpress.report.documents.document import json_text
from rockpress.report.text.bench_text import bench_lines, layer_cells
from sample_benches import BENCH

DOCS = Path(__file__).parents[2] / "docs"
PARTS = {
    "model": "BenchedModel",
    "board": "BoardFacts",
    "loaded": "LoadedModel",
    "run": "TimeSpread",
    "timings": "BoardTimings",
    "estimate": "LatencyFigure",
}


def test_the_page_shows_the_screen() -> None:
    assert "\n".join(bench_lines(BENCH)) in (DOCS / "bench.md").read_text()


def test_the_document_is_as_its_schema_says() -> None:
    schema = json.loads((DOCS / "rockpress-bench.schema.json").read_text())
    document = json.loads(json_text(bench_document(BENCH)))
    assert set(document) == set(schema["properties"]) == {*schema["required"], "schema"}
    for key, kind in PARTS.items():
        named = schema["$defs"][kind]
        assert set(named["required"]) <= set(document[key]) <= set(named["properties"])
    assert document["warnings"][0] == {
        "code": "board-busy",
        "text": "something else used the NPU",
        "hint": "end it",
    }


def test_what_a_board_does_not_say_is_left_out() -> None:
    silent = BoardConditions()
    timings = replace(
        BENCH.timings,
        before=silent,
        after=silent,
        during=(),
        drift=None,
        energy=(),
        contexts=(),
    )
    loaded = replace(BENCH.loaded, memory=None, api_version=None, driver_version=None)
    lines = bench_lines(
        replace(
            BENCH,
            board=BoardFacts("3.7.16"),
            loaded=loaded,
            timings=timings,
            npu=None,
            estimate=None,
            layers_ratio=None,
        )
    )
    assert lines[0] == (
        "net.rknn on a board that does not say its name (rk3588): librknnrt unknown, "
        "driver unknown, built by rknn-toolkit2 2.5.0"
    )
    assert [line.partition(" ")[0] for line in lines[1:-1]] == ["NPU", "beside", "clocks", "load"]
    assert lines[3:-1] == ["clocks -", "load before -; no temperature can be read"]


@pytest.mark.parametrize(
    ("mhz", "text"), [((1000,), "NPU 1000 of 1000 MHz"), ((300, 1000), "NPU 300 to 1000 of 1000")]
)
def test_a_clock_that_changed_is_a_span(mhz: tuple[int, ...], text: str) -> None:
    states = [
        replace(BENCH.timings.before, npu=ClockReading("npu", None, hz * 10**6, 10**9))
        for hz in mhz
    ]
    timings = replace(BENCH.timings, before=states[0], during=(), after=states[-1])
    assert any(text in line for line in bench_lines(replace(BENCH, timings=timings)))


def test_a_context_without_a_figure_says_why() -> None:
    failed = ContextRate(3, 3, problem="rknn_init returned -4 (RKNN_ERR_MALLOC_FAIL)")
    timings = replace(BENCH.timings, contexts=(*BENCH.timings.contexts[:2], failed))
    assert "3 contexts: rknn_init returned -4 (RKNN_ERR_MALLOC_FAIL)" in bench_lines(
        replace(BENCH, timings=timings)
    )


def test_a_layer_without_an_estimate_has_no_ratio() -> None:
    assert layer_cells(MeasuredLayer("Add:x", "Add", "CPU", 7.0))[-2:] == ("-", "-")
