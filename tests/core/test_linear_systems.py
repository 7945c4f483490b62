"""Systems of second moments: there is a finite answer or a clear error, whatever the samples."""

from __future__ import annotations

import numpy as np
import pytest

from rockpress.core.errors import SamplesError
from rockpress.core.linear_systems import lower_factor, product, solve
from rockpress.core.streaming.moments import Moments
from rockpress.core.types import Float64
from rockpress.prune.repair.least_squares import solve as least_squares
from rockpress.prune.search.importance import Reader, removal_order
from rockpress.quantize.methods.gptq import gptq
from rockpress.quantize.statistics.tensor_statistics import InputMoments

WIDTH = 24
RANDOM = np.random.default_rng(5)
ROWS = RANDOM.standard_normal((200, WIDTH))
INPUTS: dict[str, Float64] = {
    "zero": ROWS * 0,
    "denormal": ROWS * 1e-40,
    "tiny": ROWS * 1e-30,
    "huge": ROWS * 1e25,
    "one huge row": np.concatenate([ROWS, ROWS[:1] * 1e20]),
    "constant": np.ones((2000, 1)) @ ROWS[:1] * 1e4,
    "constant beside others": np.where(np.arange(WIDTH) % 2, ROWS, 1234.567),
    "one dead": ROWS * (np.arange(WIDTH) != 3),
    "equal": np.repeat(ROWS[:, :1], WIDTH, axis=1),
}


@pytest.mark.parametrize("second", [np.zeros((3, 3)), -np.eye(3), np.diag([1e40, -1e20, 0])])
def test_what_rounding_has_made_indefinite_has_a_factor(second: Float64) -> None:
    both = np.stack([second, np.diag([1.0, 4.0, 9.0])])
    lower = lower_factor(both)
    assert np.isfinite(lower).all()
    np.testing.assert_allclose(lower[1], np.diag([1.0, 2.0, 3.0]))


def test_a_singular_system_has_a_finite_answer() -> None:
    second = np.array([[2.0, 2.0], [2.0, 2.0]])
    answer = solve(second, np.array([[2.0], [2.0]]))
    np.testing.assert_allclose(answer.ravel(), [0.5, 0.5], rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_moments_that_are_not_finite_are_an_error_about_samples(bad: float) -> None:
    for call in (lower_factor, lambda second: solve(second, np.ones((2, 1)))):
        with pytest.raises(SamplesError, match="NaN or infinite") as caught:
            call(np.diag([1.0, bad]))
        assert "mean" in caught.value.hint


def test_products_that_float32_cannot_hold_are_made_in_float64() -> None:
    large = np.full((1, 2, 2), 1e25, np.float32)
    np.testing.assert_allclose(product(large, large), 2e50, rtol=1e-6)


@pytest.mark.parametrize("name", INPUTS)
def test_gptq_takes_inputs_of_every_size(name: str) -> None:
    moments = InputMoments(1, WIDTH)
    for part in np.array_split(INPUTS[name].astype(np.float32), 7):
        moments.add(part.T[None])
    matrix = RANDOM.standard_normal((1, 5, WIDTH))
    steps = gptq(matrix, moments.covariance, np.full((1, 5), 0.02), 126)
    assert np.isfinite(steps).all()
    np.testing.assert_allclose(moments.mean, INPUTS[name].mean(0, keepdims=True), rtol=1e-3)


def test_moments_of_huge_inputs_are_added_up() -> None:
    whole, parts = InputMoments(1, WIDTH), [InputMoments(1, WIDTH) for _ in range(2)]
    for part, scale in zip(parts, (1.0, 1e20), strict=True):
        columns = (ROWS * scale).astype(np.float32).T[None]
        part.add(columns)
        whole.add(columns)
    both = parts[0].plus(parts[1]).covariance
    np.testing.assert_allclose(both, whole.covariance, rtol=1e-5, atol=1e34)
    assert np.isfinite(both).all() and both.max() > 1e38


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("name", INPUTS)
def test_least_squares_takes_inputs_of_every_size(name: str, *, has_bias: bool) -> None:
    """What its inputs say nothing about stays as it was."""
    moments, start = Moments(WIDTH, 2), RANDOM.standard_normal((2, WIDTH))
    x = INPUTS[name].astype(np.float32)
    moments.add(x, x @ start.T.astype(np.float32) + 1000 * has_bias)
    matrix, bias = least_squares(moments, start, has_bias=has_bias)
    assert np.isfinite(bias).all()
    np.testing.assert_allclose(matrix, start, atol=1e-3)


@pytest.mark.parametrize("name", INPUTS)
def test_channels_have_an_order_whatever_the_inputs(name: str) -> None:
    moments = Moments(WIDTH, 1)
    moments.add(INPUTS[name], INPUTS[name][:, :1])
    columns = [np.array([2 * i, 2 * i + 1]) for i in range(WIDTH // 2)]
    order = removal_order([Reader(np.ones((3, WIDTH)), moments.covariance, columns)])
    assert sorted(order.tolist()) == list(range(WIDTH // 2))
