"""The ridge of the repair: its error on held-out samples, and what these decide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphs import Samples, model_of, random_weights
from pruning import divergence_on
from rockpress.core.graphs.model import load_model
from rockpress.core.streaming.moments import Moments
from rockpress.core.types import Array
from rockpress.prune.prune import Pruner
from rockpress.prune.repair.least_squares import solve
from rockpress.prune.repair.ridge_choice import best_ridge, squared_error
from rockpress.prune.results.budget import Budget, macs_cost
from rockpress.prune.search.costs import CostFunction

WIDE = """(float[1,8] x) => (float[1,6] y) {
    a = Gemm <transB=1> (x, w1, b1)
    r = Relu (a)
    y = Gemm <transB=1> (r, w2, b2) }"""


def moments_of(x: Array, y: Array) -> Moments:
    moments = Moments(x.shape[1], y.shape[1])
    moments.add(x, y)
    return moments


@pytest.mark.parametrize("has_bias", [True, False])
def test_the_error_is_that_of_the_samples(has_bias: bool) -> None:
    random = np.random.default_rng(3)
    x, y = random.standard_normal((40, 5)) + 1, random.standard_normal((40, 3)) - 2
    matrix, bias = solve(moments_of(x, y), np.zeros((3, 5)), has_bias=has_bias)
    direct = ((x @ matrix.T + bias - y) ** 2).sum(axis=1).mean() - y.var(axis=0).sum()
    assert squared_error(moments_of(x, y), matrix, bias) == pytest.approx(direct)


@pytest.mark.parametrize(("count", "low", "high"), [(16, 1.0, 3.0), (4000, 1e-3, 1e-2)])
def test_few_samples_are_held_stronger(count: int, low: float, high: float) -> None:
    """The weights are nearly right already, and what is measured of them is noise."""
    random = np.random.default_rng(0)
    true = random.standard_normal((2, 12))
    parts: list[Moments] = []
    for rows in (count, 1000):
        x = random.standard_normal((rows, 12))
        parts.append(moments_of(x, x @ true.T + 2 * random.standard_normal((rows, 2))))
    start = true + 0.3 * random.standard_normal(true.shape)
    fitted, unseen = parts
    assert low <= best_ridge(fitted, unseen, start) <= high


def inputs(count: int, noise: float, seed: int) -> Samples:
    """Inputs that lie near a plane of three dimensions."""
    random = np.random.default_rng(seed)
    plane = np.random.default_rng(0).standard_normal((3, 8))
    rows = random.standard_normal((count, 3)) @ plane
    rows += noise * random.standard_normal(rows.shape)
    return [{"x": row[np.newaxis].astype(np.float32)} for row in rows]


def test_it_depends_on_the_samples(tmp_path: Path) -> None:
    shapes = {"w1": (48, 8), "b1": (48,), "w2": (6, 48), "b2": (6,)}
    model = model_of(WIDE, random_weights(shapes, scale=1 / 2))
    budget, errors = Budget("macs", 0.6), {}
    fresh = divergence_on(model, inputs(300, 0.3, seed=9))
    for count in (40, 600):
        pruner = Pruner(model, inputs(count, 0.3, seed=1), cost=CostFunction(macs_cost, 8))
        pruner.prune(budget, tmp_path / "a")
        errors[count] = fresh(load_model(tmp_path / "a"))
    assert errors[600] < errors[40]


def test_samples_may_come_in_turn(tmp_path: Path) -> None:
    """Four kinds in turn, each along other dimensions, are repaired as well as shuffled ones."""
    shapes = {"w1": (48, 8), "b1": (48,), "w2": (6, 48), "b2": (6,)}
    model = model_of(WIDE, random_weights(shapes, scale=1 / 2))
    random = np.random.default_rng(5)

    def of_kind(kind: int) -> Array:
        row = 0.1 * random.standard_normal(8)
        row[2 * kind : 2 * kind + 2] += 2 * random.standard_normal(2)
        return row[np.newaxis].astype(np.float32)

    in_turn = [{"x": of_kind(index % 4)} for index in range(80)]
    shuffled = [in_turn[index] for index in np.random.default_rng(0).permutation(len(in_turn))]
    fresh = divergence_on(model, [{"x": of_kind(index % 4)} for index in range(400)])
    errors = []
    for samples in (in_turn, shuffled):
        pruner = Pruner(model, samples, cost=CostFunction(macs_cost, 8))
        pruner.prune(Budget("macs", 0.4), tmp_path / "a")
        errors.append(fresh(load_model(tmp_path / "a")))
    # held out at a fixed position of four, all of one kind, they were eight times worse
    assert errors[0] < 3 * errors[1]
