"""Integers of few bits that are moved step by step: nearer, as near as any, and on a full grid."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from rockpress.core.types import Float64
from rockpress.quantize.methods.gptq import gptq
from rockpress.quantize.numeric.grid_descent import descended

LIMIT = 7


def problem(inputs: int, outputs: int, seed: int) -> tuple[Float64, Float64]:
    """A matrix (outputs, inputs), and the covariance of inputs half of which the others tell."""
    random = np.random.default_rng(seed)
    mixed = random.standard_normal((inputs, -(-inputs // 2)))
    return random.standard_normal((outputs, inputs)), mixed @ mixed.T + 0.25 * np.eye(inputs)


def by_gptq(matrix: Float64, covariance: Float64) -> tuple[Float64, Float64]:
    scales = np.abs(matrix).max(axis=1) / LIMIT
    return gptq(matrix[None], covariance[None], scales[None], LIMIT)[0], scales


def errors(matrix: Float64, covariance: Float64, steps: Float64, scales: Float64) -> Float64:
    lost = steps * scales[:, None] - matrix
    return np.asarray(((lost @ covariance) * lost).sum(axis=1))


@pytest.mark.parametrize("inputs", [9, 64, 300])
def test_outputs_err_less_than_after_gptq(inputs: int) -> None:
    matrix, covariance = problem(inputs, 12, inputs)
    first = by_gptq(matrix, covariance)
    steps, scales = descended(matrix, covariance, *first, LIMIT)
    assert np.array_equal(steps, np.rint(steps))
    assert np.array_equal(np.abs(steps).max(axis=1), np.full(12, LIMIT))
    before, after = (errors(matrix, covariance, *each) for each in (first, (steps, scales)))
    assert after.sum() < 0.85 * before.sum()


def test_no_step_of_a_single_weight_brings_more() -> None:
    matrix, covariance = problem(12, 6, 1)
    damped = covariance + 0.1 * np.trace(covariance) / 12 * np.eye(12)
    steps, scales = descended(matrix, covariance, *by_gptq(matrix, covariance), LIMIT)
    least = errors(matrix, damped, steps, scales)
    for column, move in product(range(12), (-1.0, 1.0)):
        other = steps.copy()
        other[:, column] += move
        is_allowed = np.abs(other[:, column]) <= LIMIT
        assert (errors(matrix, damped, other, scales)[is_allowed] >= least[is_allowed] - 1e-9).all()


def test_it_comes_near_the_best_of_all_integers() -> None:
    matrix, covariance = problem(3, 20, 2)
    damped = covariance + 0.1 * np.trace(covariance) / 3 * np.eye(3)
    all_steps = np.array(list(product(range(-3, 4), repeat=3)), np.float64)
    all_steps = all_steps[np.abs(all_steps).max(axis=1) == 3]
    products = all_steps @ damped
    # for each of these the best scale is known: what it leaves of the output's own square
    gains = (products @ matrix.T) ** 2 / (products * all_steps).sum(axis=1)[:, None]
    signal = errors(matrix, damped, np.zeros((20, 3)), np.ones(20))
    best = signal - gains.max(axis=0)
    first = np.clip(np.rint(matrix / np.abs(matrix).max(axis=1, keepdims=True) * 3), -3, 3)
    scales = np.abs(matrix).max(axis=1) / 3
    reached = errors(matrix, damped, *descended(matrix, covariance, first, scales, 3))
    assert (reached >= best - 1e-9).all()
    assert (reached - best).mean() < 0.25 * (errors(matrix, damped, first, scales) - best).mean()


def test_outputs_without_weights_stay_as_they_are() -> None:
    matrix, covariance = problem(5, 3, 3)
    matrix[1] = 0
    first = by_gptq(np.where(matrix == 0, 1e-9, matrix), covariance)
    steps, scales = descended(matrix, covariance, np.zeros((3, 5)), first[1], LIMIT)
    assert not steps[1].any()
    assert scales[1] == first[1][1]
    assert np.abs(steps[[0, 2]]).max(axis=1).tolist() == [LIMIT, LIMIT]


def test_inputs_that_never_vary() -> None:
    matrix, _ = problem(6, 4, 4)
    scales = np.abs(matrix).max(axis=1) / LIMIT
    first = np.rint(matrix / scales[:, None])
    steps, fitted = descended(matrix, np.zeros((6, 6)), first, scales, LIMIT)
    assert np.isfinite(fitted).all()
    assert (np.abs(steps * fitted[:, None] - matrix).max(axis=1) <= scales).all()
