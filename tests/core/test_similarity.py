"""How close outputs are, whatever the size of their numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rockpress.core.similarity import in_db, sums_of


@given(
    size=st.sampled_from([1, 3, 1000, 40_000]),
    exponent=st.integers(-30, 30),
    relative=st.sampled_from([0.0, 1e-6, 1e-3, 1.0, 1e4]),
    infinite=st.booleans(),
    seed=st.integers(0, 9),
)
def test_sums_of_float32_are_those_of_float64(
    size: int, exponent: int, relative: float, infinite: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    values = random.standard_normal(size)
    reference = (values * 10.0**exponent).astype(np.float32)
    with np.errstate(over="ignore"):
        candidate = ((values + relative * random.standard_normal(size)) * 10.0**exponent).astype(
            np.float32
        )
    if infinite:
        reference[0] = candidate[0] = np.inf
    expected = sums_of(reference.astype(np.float64), candidate.astype(np.float64))
    assert sums_of(reference, candidate) == pytest.approx(expected, rel=1e-4, abs=0)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_not_finite_is_no_signal_but_noise(wrong: float) -> None:
    reference, candidate = np.ones(4, np.float32), np.ones(4, np.float32)
    candidate[2] = wrong
    assert in_db(*sums_of(reference, candidate)) == -math.inf
