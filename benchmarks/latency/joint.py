"""The fit of all chips at once: positive coefficients, errors in the logarithm, a prior for each.

The logarithm of a chip's coefficient is that of its prior, plus a part that all chips share, plus
the chip's own: chips of one maker differ less from each other than from what was assumed of them.
Times of whole networks and, of one chip, of single layers on a board are fitted together. Both are
judged by a Student t of 4 degrees of freedom, so that a network which was built or published
otherwise than assumed does not bend the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

Array = NDArray[np.float64]
EXPONENT = 6.0
_FREEDOM = 4.0
_NETWORK, _LAYER = 0.08, 0.12  # the usual size of an error in the logarithm
_RUN_COUNTS = 6.0  # all layers of a run count as much as so many networks
_SHARED, _OWN = 0.8, 0.5  # how far coefficients stray from the prior, in its standard deviations
_SCALE = 0.15  # of the logarithm of a board's time over that of the published table
_ADDED, _ADDED_SD = 0.008, 0.008
_TINY = 1e-30
BROADCAST, MOVED = 4, 3  # the first is told as a multiple of the second


@dataclass(frozen=True)
class Rows:
    """Layers with their work, in the order of the coefficients, and who they belong to.

    ``work`` has a row a layer, ``fixed`` milliseconds that no coefficient changes, ``owner`` the
    index of the network, or of the layer itself.
    """

    work: Array
    fixed: Array
    owner: NDArray[np.intp]
    ms: Array

    def only(self, keep: NDArray[np.bool_]) -> Rows:
        """Those of the owners that are to be kept."""
        number = np.cumsum(keep) - 1
        rows = keep[self.owner]
        owner = number[self.owner[rows]]
        return Rows(self.work[rows], self.fixed[rows], owner, self.ms[keep])


@dataclass(frozen=True)
class Prior:
    """The centre of each chip's coefficients, and the standard deviation of their logarithms."""

    centre: Array  # chips x coefficients
    deviation: Array  # coefficients


@dataclass(frozen=True)
class Fit:
    """``coefficients`` is chips x coefficients; ``added`` ms by run, ``scale`` the board's."""

    coefficients: Array
    scale: float
    added: Array
    unknowns: Array  # as the solver has them, to start another fit from


def terms(rows: Rows, coefficients: Array, overlaps: NDArray[np.bool_]) -> Array:
    """Return what each coefficient contributes to each owner: the slope by its logarithm."""
    parts = rows.work * coefficients
    powers = (parts[:, overlaps] + _TINY) ** EXPONENT
    total = powers.sum(axis=1)
    parts[:, overlaps] = powers * (total ** (1 / EXPONENT - 1))[:, None]
    columns = [np.bincount(rows.owner, part, len(rows.ms)) for part in parts.T]
    return np.column_stack(columns)


def predict(rows: Rows, coefficients: Array, overlaps: NDArray[np.bool_]) -> Array:
    """Return the milliseconds of every owner."""
    ms: Array = terms(rows, coefficients, overlaps).sum(axis=1) + _fixed(rows)
    return ms


def _fixed(rows: Rows) -> Array:
    fixed: Array = np.bincount(rows.owner, rows.fixed, len(rows.ms)).astype(float)
    return fixed


def fit(
    networks: Sequence[Rows],
    board: Sequence[Rows],
    prior: Prior,
    overlaps: NDArray[np.bool_],
    near: Fit | None = None,
) -> Fit:
    """Return what is most likely; ``networks`` are by chip, ``board`` runs on the first chip."""
    problem = _Problem(networks, board, prior, overlaps)
    start = np.zeros(problem.size)
    if near is not None:  # a fit to more, which this is not far from: fewer steps
        start[: problem.scale_at + 1] = near.unknowns[: problem.scale_at + 1]
    solution = least_squares(
        problem.residuals, start, problem.slopes, method="lm", ftol=1e-7, xtol=1e-4
    )
    return problem.fit_of(solution.x)


class _Problem:
    """Residuals and their slopes in the unknowns, all of them in standard deviations.

    The unknowns are the shared part, the own part of each chip, the board's scale, and what timing
    adds to each layer of each run.
    """

    def __init__(
        self,
        networks: Sequence[Rows],
        board: Sequence[Rows],
        prior: Prior,
        overlaps: NDArray[np.bool_],
    ) -> None:
        self.networks, self.board, self.prior, self.overlaps = networks, board, prior, overlaps
        self.kinds = len(prior.deviation)
        self.scale_at = self.kinds * (1 + len(networks))
        self.size = self.scale_at + 1 + len(board)
        self.at = self.latest = np.zeros(0)

    def fit_of(self, unknowns: Array) -> Fit:
        straying = unknowns[: self.scale_at].reshape(-1, self.kinds) * self.prior.deviation
        logarithm = np.log(self.prior.centre) + _SHARED * straying[0] + _OWN * straying[1:]
        logarithm[:, BROADCAST] += logarithm[:, MOVED]
        scale = float(np.exp(_SCALE * unknowns[self.scale_at]))
        added = _ADDED + _ADDED_SD * unknowns[self.scale_at + 1 :]
        return Fit(np.exp(logarithm), scale, added, unknowns)

    def residuals(self, unknowns: Array) -> Array:
        """Return what least_squares squares, and keep the slopes there for when it asks."""
        point = self.fit_of(unknowns)
        parts = [self._network(chip, point) for chip in range(len(self.networks))]
        parts += [self._run(run, point) for run in range(len(self.board))]
        self.latest = np.vstack([*(slopes for _, slopes in parts), np.eye(self.size)])
        self.at = unknowns.copy()
        return np.concatenate([*(residuals for residuals, _ in parts), unknowns])

    def slopes(self, unknowns: Array) -> Array:
        if not np.array_equal(unknowns, self.at):
            self.residuals(unknowns)
        return self.latest

    def _network(self, chip: int, point: Fit) -> tuple[Array, Array]:
        rows = self.networks[chip]
        parts = terms(rows, point.coefficients[chip], self.overlaps)
        ms = parts.sum(axis=1) + _fixed(rows)
        slopes = self._slopes(chip, parts / ms[:, None])
        return _softened(np.log(ms / rows.ms), slopes, _NETWORK, 1.0)

    def _run(self, run: int, point: Fit) -> tuple[Array, Array]:
        rows = self.board[run]
        parts = point.scale * terms(rows, point.coefficients[0], self.overlaps)
        added = max(point.added[run], 0.0)
        ms = parts.sum(axis=1) + added
        slopes = self._slopes(0, parts / ms[:, None])
        slopes[:, self.scale_at] = _SCALE * (ms - added) / ms
        slopes[:, self.scale_at + 1 + run] = _ADDED_SD / ms * (added > 0)
        return _softened(np.log(ms / rows.ms), slopes, _LAYER, _RUN_COUNTS / len(ms))

    def _slopes(self, chip: int, relative: Array) -> Array:
        slopes = np.zeros((len(relative), self.size))
        relative = relative.copy()
        relative[:, MOVED] += relative[:, BROADCAST]
        own = self.kinds * (1 + chip)
        slopes[:, : self.kinds] = _SHARED * relative * self.prior.deviation
        slopes[:, own : own + self.kinds] = _OWN * relative * self.prior.deviation
        return slopes


def _softened(error: Array, slopes: Array, usual: float, weight: float) -> tuple[Array, Array]:
    """Return residuals whose squares are twice the negative logarithm of a Student t's density."""
    relative = error / usual
    square = relative**2 / _FREEDOM
    residual = np.sign(error) * np.sqrt(weight * (_FREEDOM + 1) * np.log1p(square))
    slope = weight * (_FREEDOM + 1) * relative / _FREEDOM / (1 + square)
    factor = np.where(
        np.abs(residual) > 1e-9,
        slope / np.where(residual == 0, 1, residual),
        np.sqrt(weight * 1.25),
    )
    return residual, slopes * (factor / usual)[:, None]
