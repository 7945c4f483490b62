"""When a board is told to compute something else than the simulator, and which causes are named."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from result_reports import PASSED
from rockpress.accuracy.compare import compare
from rockpress.accuracy.metrics.metric_table import bind_metric
from rockpress.convert.compiled_model import CompiledModel
from rockpress.core.diagnostics import Diagnostic
from rockpress.core.graphs.output_parts import whole_outputs
from rockpress.core.results.board_comparison import LayerComparison
from rockpress.core.results.board_figures import (
    BoardConditions,
    BoardFacts,
    BoardTimings,
    TimeSpread,
)
from rockpress.core.types import Array
from rockpress.pipeline.stages.baseline import Baseline
from rockpress.pipeline.stages.board_result import BoardResult, board_result
from rockpress.pipeline.tasks.board_run import BoardRun

BASE = np.random.default_rng(0).normal(size=(40, 10)).astype(np.float32)
REGTASK = Diagnostic("toolkit-regtask", "register errors")


def with_noise(values: Array, decibel: float, seed: int) -> Array:
    """Values with so much noise that the SQNR is this."""
    noise = np.random.default_rng(seed).normal(size=values.shape)
    noise *= np.linalg.norm(values) / np.linalg.norm(noise) * 10 ** (-decibel / 20)
    noisy: Array = (values + noise).astype(np.float32)
    return noisy


def result_of(
    simulated: Array,
    on_board: Array,
    *,
    quantization: str = "qdq",
    runtime: str | None = "2.5.0",
    warnings: tuple[Diagnostic, ...] = (),
    agrees: bool = True,
) -> BoardResult:
    parts, scoring = whole_outputs(["y"]), bind_metric("top1")
    base = SimpleNamespace(
        compared=lambda outputs: compare([BASE], outputs, None, scoring, 0, parts),
        parts=parts,
        scoring=scoring,
        seed=0,
    )
    spread, state = TimeSpread(1.0, 1.0, 1.0, 1), BoardConditions()
    timings = BoardTimings(1.0, ((1.0, 1.1),), (), spread, spread, agrees, state, state)
    run = BoardRun(BoardFacts("3.11.2", "A board", "rk3588", runtime=runtime), [on_board], timings)
    built = CompiledModel(target="rk3588", toolkit="2.5.0", quantization=quantization)
    return board_result(cast(Baseline, base), run, built, [simulated], warnings)


def codes(result: BoardResult) -> list[str]:
    return [warning.code for warning in result.warnings]


@pytest.mark.parametrize(
    ("quantization", "decibel", "differs"),
    [("qdq", 26, False), ("qdq", 15, True), ("float16", 26, True), ("float16", 60, False)],
)
def test_rounding_is_less_in_float16(quantization: str, decibel: float, differs: bool) -> None:
    simulated = with_noise(BASE, 50, 1)
    result = result_of(simulated, with_noise(simulated, decibel, 2), quantization=quantization)
    assert codes(result) == ["board-differs"] * differs
    simulator = result.figure.simulator
    assert simulator is not None and simulator.is_rounding != differs
    assert simulator.sqnr_db == pytest.approx(decibel, abs=0.01)


def test_rounding_grows_where_quantization_costs_much() -> None:
    """A board as close to the original as the simulator is computes no worse."""
    simulated, on_board = with_noise(BASE, 14, 1), with_noise(BASE, 13.5, 2)
    assert codes(result_of(simulated, on_board)) == []
    assert codes(result_of(simulated, with_noise(BASE, 10, 2))) == ["board-differs"]


def hint_of(runtime: str | None, warnings: tuple[Diagnostic, ...] = ()) -> str:
    (warning,) = result_of(BASE, -BASE, runtime=runtime, warnings=warnings).warnings
    return warning.rendered().hint


def test_the_causes_that_are_known_are_named() -> None:
    older, regtask = "its runtime 2.3.2 is older than rknn-toolkit2 2.5.0", "register errors"
    assert older in hint_of("2.3.2") and regtask not in hint_of("2.3.2")
    assert older in hint_of("2.3.2", (REGTASK,)) and regtask in hint_of("2.3.2", (REGTASK,))
    assert regtask in hint_of("2.5.0", (REGTASK,)) and "older" not in hint_of("2.5.0", (REGTASK,))
    for runtime in ("2.5.0", "2.10.1", None):
        assert "says which layer differs first" in hint_of(runtime)


@pytest.mark.parametrize(("runtime", "is_known"), [("2.3.2", True), ("2.5.0", False)])
def test_where_layers_were_looked_at_only_a_known_cause_is_left(
    runtime: str, is_known: bool
) -> None:
    layers = LayerComparison(8, 40, 1, (), None, 3.0, is_joined=True)
    differs, joined = result_of(BASE, -BASE, runtime=runtime).with_layers(layers).warnings
    assert ("install" in differs.hint, bool(differs.hint)) == (is_known, is_known)
    assert joined.code == "board-joined"


def test_outputs_that_are_not_finite_are_no_rounding() -> None:
    broken = np.full_like(BASE, np.nan)
    result = result_of(BASE, broken)
    assert codes(result) == ["board-differs"] and not result.comparison.parts[0].finite
    assert result.figure.simulator is not None and result.figure.simulator.agreement is None
    assert codes(result_of(broken, BASE)) == ["board-differs"]


def test_the_row_has_the_boards_time_first() -> None:
    result = result_of(BASE, BASE, agrees=False)
    assert codes(result) == ["board-unsettled"]
    row = result.row(PASSED.models[-1])
    assert [figure.kind for figure in row.latency] == ["board", "npu-estimate"]
    assert row.latency[0].ms == pytest.approx(1.05) and row.cycles == 146_000
