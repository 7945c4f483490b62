"""What is told where a budget of milliseconds buys nothing, and when choices are built at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from rockpress.calibration_data.preprocessing import Preprocessing
from rockpress.convert.chips.targets import find_target
from rockpress.core.diagnostics import Diagnostic
from rockpress.pipeline.options.quantize_options import QuantizeOptions
from rockpress.pipeline.samples.ready_model import ready_model
from rockpress.pipeline.tasks.mixed_precision import mixed_precision
from rockpress.pipeline.tasks.quantizing import build_shortfall, quantize_warnings
from rockpress.quantize.mixing.mixed_budget import MixedBudget, NpuTime
from rockpress.quantize.quantize import QuantizeResult
from rockpress.quantize.rendering.plan import Plan, Tradeoff

TIMED = QuantizeOptions(mixed="latency=+8%")
INT8 = Tradeoff((), 20.0, ms=2.0, latency_ratio=1.0)
NO_TIME = NpuTime(lambda model: None, lambda layer, dtype: 1.0, lambda shape: 0.1)


def test_a_budget_that_buys_nothing_is_told(small_cnn: Path, image_folder: Path) -> None:
    calib = ready_model(small_cnn).samples(image_folder, Preprocessing(), 4)

    def warnings(*tradeoffs: Tradeoff) -> tuple[Diagnostic, ...]:
        plan = Plan("w8a8", 8, {}, {}, {}, tradeoffs=tradeoffs)
        return quantize_warnings(TIMED, QuantizeResult(small_cnn, Path("p"), plan), calib)

    assert warnings(INT8, Tradeoff(("a",), 23.0, ms=2.1, latency_ratio=1.05)) == ()
    (nothing,) = warnings(INT8)
    assert (nothing.code, "buys nothing" in nothing.text) == ("mixed-budget", True)
    (untimed,) = warnings(Tradeoff((), 20.0))
    assert "does not build the model in int8" in untimed.text
    assert "cycles=+8%" in untimed.hint


@pytest.mark.parametrize(
    ("mixed", "fallback", "decibels", "is_told"),
    [
        ("sqnr=40", "normal", 29.1, True),
        ("sqnr=40", "hybrid", 39.9, True),
        ("sqnr=40", "normal", 40.2, False),
        ("sqnr=40", None, 29.1, False),  # as it was meant to be
        ("sqnr=60", "normal", 29.1, False),  # the plan falls short itself, which is told of that
        ("cycles=+8%", "normal", 29.1, False),
        ("auto", "normal", 29.1, False),
    ],
)
def test_what_the_toolkit_built_instead_is_held_against_the_budget(
    mixed: str, fallback: str | None, decibels: float, is_told: bool
) -> None:
    plan = Plan("w8a8", 8, {}, {}, {}, tradeoffs=(Tradeoff(("a",), 48.2, cycles_ratio=1.1),))
    warnings = build_shortfall(QuantizeOptions(mixed=mixed), plan, fallback, decibels)
    assert [(each.code, "29.1 dB" in each.text or decibels != 29.1) for each in warnings] == (
        [("mixed-budget", True)] if is_told else []
    )


@pytest.mark.parametrize(("time", "kind"), [(None, "cycles"), (NO_TIME, "latency")])
def test_the_rescue_counts_in_time_where_builds_are_timed(time: NpuTime | None, kind: str) -> None:
    mixed = mixed_precision(QuantizeOptions(), find_target("rk3588"), time)
    assert mixed is not None
    assert (mixed.is_asked, mixed.budget.kind, mixed.time) == (False, kind, time)
    four = mixed_precision(QuantizeOptions(scheme="w4a16"), find_target("rk3576"))
    assert four is not None
    assert four.budget == MixedBudget("size", -0.15)
