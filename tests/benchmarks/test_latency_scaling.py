"""The band of a scaled estimate, held against published times as if a few of them were measured."""

from __future__ import annotations

import math
from statistics import fmean

import pytest

from benchmarks.latency.records import CHIPS
from benchmarks.latency.scaling import Estimated, coverage, quantile, scaled, unfitted
from rockpress.convert.latency.scaled import TYPICAL_BAND


@pytest.mark.parametrize("count", [1, 3])
def test_the_band_of_a_chip_without_a_fit_covers(count: int) -> None:
    covered = [coverage(scaled(unfitted(chip), count, TYPICAL_BAND)) for chip in CHIPS]
    assert min(covered) >= 0.85
    assert 0.88 <= fmean(covered) <= 0.97


def test_a_factor_that_all_models_share_is_taken_out_by_one() -> None:
    models = [Estimated("m", family, 10.0, math.log(3)) for family in "abc"]
    results = scaled(models, 1, 1.1)
    assert max(abs(one.error) for one in results) == pytest.approx(0)
    assert (coverage(results), quantile(results, 0.9)) == (1, 1)


def test_every_family_has_the_same_weight() -> None:
    models = [Estimated("m", "a", 10.0, 0.0)] * 3 + [
        Estimated("m", "b", 10.0, 1.0),
        Estimated("m", "c", 10.0, 0.0),
    ]
    results = scaled(models, 2, 1.01)
    assert sum(one.weight for one in results[:1]) * 3 == pytest.approx(results[-1].weight)
