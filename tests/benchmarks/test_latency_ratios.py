"""A result is called slower than float16 only outside the band of the published pairs."""

from __future__ import annotations

from importlib import import_module
from statistics import median

import pytest

from rockpress.convert.latency.bands import is_slower, ratio_band

FACTOR = ratio_band("formats")


def test_the_band_is_that_of_the_worst_pair() -> None:
    ratios = import_module("benchmarks.latency.ratios")
    pairs = [*ratios.same_network(), *ratios.same_family()]
    counted = [pair.error for pair in pairs if pair.counts]
    assert len(counted) == 5
    assert max(counted) == pytest.approx(FACTOR, rel=0.01)


def test_both_formats_of_a_layer_are_off_by_the_same_factor() -> None:
    ratios = import_module("benchmarks.latency.ratios")
    factors = {(operator, dtype): median(each) for operator, dtype, each in ratios.layer_factors()}
    for operator in ("Conv", "Concat", "Add"):
        in_float16, in_int8 = factors[operator, "FLOAT16"], factors[operator, "INT8"]
        assert in_float16 / in_int8 == pytest.approx(1, abs=0.05), operator


def test_a_result_is_slower_only_outside_the_band() -> None:
    assert is_slower(10 * FACTOR + 0.1, 10)
    assert not is_slower(10 * FACTOR - 0.1, 10)
