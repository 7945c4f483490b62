"""First and second moments, summed sample by sample: memory does not depend on their number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..types import Array, Float64

# more positions of one image say little new about its covariance, and cost as much as new images
POSITIONS = 36

# of the square of an input's mean: where its variance is less, rounding makes up most of that
_STILL = 1e-9

# rows wait until one large product is worth its call: adding up d x d is what takes the time
_PENDING_BYTES = 4 << 20


@dataclass
class Moments:
    """Joint moments of inputs x (d) and targets y (m), centred when read.

    Inputs that vary by less than rounding can tell do not vary at all.

    >>> moments = Moments(1, 1)
    >>> moments.add(np.array([[0.0], [2.0]]), np.array([[1.0], [5.0]]))
    >>> moments.covariance.tolist(), moments.cross.tolist(), moments.mean_y.tolist()
    ([[1.0]], [[2.0]], [3.0])
    """

    inputs: int
    targets: int

    def __post_init__(self) -> None:
        self._count = 0
        self._sum_x = np.zeros(self.inputs)
        self._sum_y = np.zeros(self.targets)
        self._xx = np.zeros((self.inputs, self.inputs))
        self._yx = np.zeros((self.targets, self.inputs))
        self._pending: list[tuple[Float64, Float64]] = []
        self._waiting = 0  # bytes of the pending rows of x

    def add(self, x: Array, y: Array) -> None:
        """Take in rows of x (n, d) and y (n, m)."""
        self._count += len(x)
        self._sum_x += x.sum(axis=0, dtype=np.float64)
        self._sum_y += y.sum(axis=0, dtype=np.float64)
        rows = np.asarray(x, np.float64)
        self._pending.append((rows, np.asarray(y, np.float64)))
        self._waiting += rows.nbytes
        if self._waiting > _PENDING_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            x = np.concatenate([rows for rows, _ in self._pending])
            y = np.concatenate([rows for _, rows in self._pending])
            self._xx += x.T @ x
            self._yx += y.T @ x
            self._pending.clear()
            self._waiting = 0

    def part(self, mask: NDArray[np.bool_]) -> Moments:
        """Return the moments of the inputs that the ``mask`` (d,) picks, and all targets."""
        self._flush()
        part = Moments(int(mask.sum()), self.targets)
        part._count = self._count
        part._sum_x, part._sum_y = self._sum_x[mask], self._sum_y
        part._xx, part._yx = self._xx[np.ix_(mask, mask)], self._yx[:, mask]
        return part

    def of_targets(self, start: int, end: int) -> Moments:
        """Return the moments of all inputs and of the targets from ``start`` to ``end``.

        >>> moments = Moments(1, 2)
        >>> moments.add(np.array([[0.0], [2.0]]), np.array([[1.0, 0.0], [5.0, 8.0]]))
        >>> moments.of_targets(1, 2).cross.tolist(), moments.of_targets(0, 1).mean_y.tolist()
        ([[4.0]], [3.0])
        """
        self._flush()
        part = Moments(0, end - start)
        part.inputs, part._count = self.inputs, self._count
        part._sum_x, part._sum_y = self._sum_x, self._sum_y[start:end]
        part._xx, part._yx = self._xx, self._yx[start:end]
        return part

    @property
    def mean_x(self) -> Float64:
        """Mean of the inputs, (d,)."""
        return self._sum_x / self._count

    @property
    def mean_y(self) -> Float64:
        """Mean of the targets, (m,)."""
        return self._sum_y / self._count

    @property
    def covariance(self) -> Float64:
        """Covariance of the inputs, (d, d)."""
        varies = self._varies
        covariance: Float64 = self._xx / self._count - np.outer(self.mean_x, self.mean_x)
        return covariance if varies.all() else np.asarray(covariance * np.outer(varies, varies))

    @property
    def cross(self) -> Float64:
        """Covariance of targets with inputs, (m, d)."""
        varies = self._varies
        cross: Float64 = self._yx / self._count - np.outer(self.mean_y, self.mean_x)
        return cross if varies.all() else np.asarray(cross * varies)

    @property
    def _varies(self) -> NDArray[np.bool_]:
        """Which inputs vary, (d,)."""
        self._flush()
        squares = np.square(self.mean_x)
        still: NDArray[np.bool_] = self._xx.diagonal() / self._count - squares <= _STILL * squares
        return ~still


def pooled(parts: Sequence[Moments], *, centred: bool) -> Moments:
    """Return all as one; ``centred`` takes each about its own mean, and the whole has mean 0.

    >>> low, high = Moments(1, 1), Moments(1, 1)
    >>> low.add(np.array([[0.0], [2.0]]), np.array([[0.0], [4.0]]))
    >>> high.add(np.array([[10.0], [12.0]]), np.array([[5.0], [9.0]]))
    >>> both = pooled([low, high], centred=True)
    >>> both.covariance.tolist(), both.cross.tolist(), both.mean_x.tolist()
    ([[1.0]], [[2.0]], [0.0])
    """
    whole = Moments(parts[0].inputs, parts[0].targets)
    for part in parts:
        part._flush()
        whole._count += part._count
        if centred:
            whole._xx += part._count * part.covariance
            whole._yx += part._count * part.cross
        else:
            whole._xx += part._xx
            whole._yx += part._yx
            whole._sum_x += part._sum_x
            whole._sum_y += part._sum_y
    return whole


@lru_cache(maxsize=1 << 13)  # many layers have as many positions, on the same samples
def sampled_positions(count: int, sample: int, seed: int) -> NDArray[np.int64]:
    """Return at most POSITIONS of ``count`` flat positions, the same for a sample and seed."""
    if count <= POSITIONS:
        positions = np.arange(count)
    else:
        random = np.random.default_rng([seed, sample])
        positions = np.sort(random.choice(count, POSITIONS, replace=False))
    positions.setflags(write=False)
    return positions


def ridge(covariance: Float64, strength: float) -> Float64:
    """Return the covariance plus ``strength`` times its mean diagonal, so that it inverts.

    >>> ridge(np.diag([1.0, 3.0]), 0.5).round(6).tolist()
    [[2.0, 0.0], [0.0, 4.0]]
    """
    mean = float(np.trace(covariance)) / len(covariance)
    return covariance + np.eye(len(covariance)) * (strength * mean + 1e-12)
