"""A regression on times: positive coefficients, errors in the logarithm, a prior for each.

A model takes the sum over its layers of (sum of (coefficient * work)^p)^(1/p), for work that
overlaps, and of coefficient * work for the rest. The logarithms of the coefficients are found by
Gauss-Newton steps; ``ridge`` holds them near those of the prior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_STEPS = 60
_TINY = 1e-30


@dataclass(frozen=True)
class Problem:
    """Models with their times, and what they have to do.

    ``joined`` has a row a layer, of the kinds of work that overlap, and ``owner`` tells the model
    that each belongs to; ``added`` has a row a model.
    """

    joined: Array
    owner: NDArray[np.intp]
    added: Array
    ms: Array

    def only(self, keep: NDArray[np.bool_]) -> Problem:
        """The models that are to be kept."""
        number = np.cumsum(keep) - 1
        rows = keep[self.owner]
        owner = number[self.owner[rows]]
        return Problem(self.joined[rows], owner, self.added[keep], self.ms[keep])


def predict(problem: Problem, coefficients: Array, exponent: float) -> Array:
    """Milliseconds of every model."""
    total: Array = _terms(problem, coefficients, exponent).sum(axis=1)
    return total


def _terms(problem: Problem, coefficients: Array, exponent: float) -> Array:
    """What every coefficient contributes to every model; also the slopes by its logarithm."""
    kinds = problem.joined.shape[1]
    powers = (problem.joined * coefficients[:kinds] + _TINY) ** exponent
    total = powers.sum(axis=1)
    shares = powers * (total ** (1 / exponent - 1))[:, None]
    models = len(problem.ms)
    joined = [np.bincount(problem.owner, shares[:, kind], models) for kind in range(kinds)]
    added = problem.added * coefficients[kinds:]
    return np.column_stack([*joined, added])


def fit(problem: Problem, prior: Array, exponent: float, ridge: float) -> Array:
    """Coefficients with the least sum of squared errors of log(ms), plus ridge * distance^2."""
    start = np.log(prior)
    point, damping = start.copy(), 1e-3
    terms = _terms(problem, np.exp(point), exponent)
    cost = _cost(problem, terms, point - start, ridge)
    for _ in range(_STEPS):
        error = np.log(terms.sum(axis=1) / problem.ms)
        slopes = terms / terms.sum(axis=1)[:, None]
        normal = slopes.T @ slopes + ridge * np.eye(len(prior))
        downhill = slopes.T @ error + ridge * (point - start)
        step = np.linalg.solve(normal + damping * np.eye(len(prior)), downhill)
        tried = point - np.clip(step, -1.0, 1.0)
        terms_tried = _terms(problem, np.exp(tried), exponent)
        cost_tried = _cost(problem, terms_tried, tried - start, ridge)
        if cost_tried > cost:
            damping *= 10
            continue
        gained, damping = cost - cost_tried, damping / 3
        point, terms, cost = tried, terms_tried, cost_tried
        if gained < 1e-9 * cost:
            break
    coefficients: Array = np.exp(point)
    return coefficients


def _cost(problem: Problem, terms: Array, distance: Array, ridge: float) -> float:
    error = np.log(terms.sum(axis=1) / problem.ms)
    return float(error @ error + ridge * distance @ distance)
