from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rockpress.accuracy.gates import (
    max_latency_gate,
    max_size_gate,
    min_retention_gate,
    standing_gates,
)
from rockpress.accuracy.retention import Retention
from rockpress.core.errors import OptionError
from rockpress.core.results.part_figures import PartFigure
from rockpress.core.results.report import FIDELITY, GateFigure

GOOD = Retention(0.985, 0.975, 0.995, 1000, -0.014)
UNDEFINED = Retention(None, None, None, 1000, -0.25)


@pytest.mark.parametrize(
    ("median", "value", "passed"),
    [(None, 41.0, True), (50.0, 41.0, True), (12.0, 12.0, True), (2.9, 2.9, False)],
)
def test_fidelity_is_that_of_the_median_sample_where_it_is_less(
    median: float | None, value: float, passed: bool
) -> None:
    part = PartFigure("y", "y", 10, 41.0, 1.0, True, median_sqnr_db=median)
    assert standing_gates([part])[1] == GateFigure(FIDELITY, 3.0, value, passed)


def test_retention_compares_the_estimate_or_the_lower_end() -> None:
    assert min_retention_gate(GOOD, 0.98) == GateFigure("min-retention", 0.98, 0.985, True)
    assert min_retention_gate(GOOD, 0.98, "lower") == GateFigure(
        "min-retention", 0.98, 0.975, False, "low"
    )
    assert not min_retention_gate(GOOD, 0.99).passed


def test_a_value_at_the_limit_passes() -> None:
    assert min_retention_gate(GOOD, 0.985).passed
    assert max_latency_gate(4.0, 4.0).passed
    assert max_size_gate(2_500_000, 2.5).passed


def test_latency_and_size() -> None:
    assert max_latency_gate(3.5, 4) == GateFigure("max-latency-ms", 4, 3.5, True)
    assert not max_latency_gate(4.5, 4).passed
    assert max_size_gate(2_000_000, 2.5) == GateFigure("max-size-mb", 2.5, 2.0, True)
    assert not max_size_gate(2_500_001, 2.5).passed


def test_a_latency_is_judged_by_its_band_s_high_end_on_request() -> None:
    assert max_latency_gate(3.5, 4, "lower", 4.1) == GateFigure(
        "max-latency-ms", 4, 4.1, False, "high"
    )
    assert max_latency_gate(3.5, 4, "point", 4.1).passed
    measured = max_latency_gate(3.5, 4, "lower")
    assert measured == GateFigure("max-latency-ms", 4, 3.5, True)


@pytest.mark.parametrize(
    ("check", "message", "hint"),
    [
        (
            lambda: min_retention_gate(None, 0.98),
            "--min-retention 0.98 cannot be checked without labelled samples",
            "--eval",
        ),
        (
            lambda: min_retention_gate(UNDEFINED, 0.98),
            "no ratio (the difference is -0.25)",
            "labels",
        ),
        (lambda: min_retention_gate(UNDEFINED, 0.98, "lower"), "there is no ratio", "--metric"),
        (lambda: min_retention_gate(GOOD, 98), "98 looks like per cent", "0.98"),
        (lambda: min_retention_gate(GOOD, 0), "0 is not a positive number", "limit"),
        (lambda: min_retention_gate(GOOD, float("nan")), "nan is not a positive number", "limit"),
        (lambda: max_latency_gate(None, 4), "there is no latency in milliseconds", "--target"),
        (lambda: max_latency_gate(float("nan"), 4), "no latency in milliseconds", "--target"),
        (lambda: max_latency_gate(3, 0), "--max-latency-ms 0 is not a positive number", "limit"),
        (lambda: max_latency_gate(3, float("nan")), "nan is not a positive number", "limit"),
        (lambda: max_size_gate(None, 4), "no model was written", "convert"),
        (lambda: max_size_gate(3, -1), "--max-size-mb -1 is not a positive number", "limit"),
        (lambda: max_size_gate(3, float("inf")), "inf is not a positive number", "limit"),
    ],
)
def test_gates_that_cannot_be_checked_never_pass(
    check: Callable[[], Any], message: str, hint: str
) -> None:
    with pytest.raises(OptionError) as caught:
        check()
    assert message in caught.value.message
    assert hint in caught.value.hint
