"""What a layer lacks on some samples, and its weight by least squares that makes up for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from ...core.linear_systems import product, solve
from ...core.types import Array, Float32, Float64
from ..graph_parts.weighted_layers import WeightedLayer
from ..statistics.tensor_statistics import InputMoments

_SMALL = 1e-12


@dataclass(frozen=True)
class Pull:
    """How strongly a layer is pulled towards its weight as it was: parts of its inputs' variance.

    Early layers, of few inputs and many positions, need far less than late ones. So it is chosen
    ``among`` some, on a quarter of the samples; where these are less than ``least_held_out``, it is
    ``otherwise``.
    """

    among: tuple[float, ...]
    least_held_out: int
    otherwise: float


class Shortfall:
    """What a layer's result lacks, (groups, outputs), with the moments of the inputs beside it."""

    def __init__(self, layer: WeightedLayer) -> None:
        groups, outputs, width = layer.matrix(layer.weight).shape
        self.moments = InputMoments(groups, width)
        self._has_bias = layer.bias is not None
        self._count = 0
        self._sum = np.zeros((groups, outputs))
        is_solved = _can_be_refitted(layer, self.moments)
        self._products: Float32 | Float64 | None = None
        if is_solved:
            self._products = np.zeros((groups, outputs, width), np.float32)

    def add(self, missing: Array, x: Array) -> None:
        """Take in what is missing (groups, outputs, n) beside inputs (groups, width, n)."""
        self.moments.add(x)
        self._count += x.shape[2]
        self._sum += missing.sum(axis=2, dtype=np.float64)
        if self._products is not None:
            products = product(missing, x.transpose(0, 2, 1))
            if products.dtype != self._products.dtype:
                self._products = self._products.astype(np.float64)
            self._products += products

    def take_in(self, other: Shortfall) -> None:
        """Add what another one has gathered on other samples."""
        self.moments = self.moments.plus(other.moments)
        self._count += other._count
        self._sum += other._sum
        if self._products is not None and other._products is not None:
            self._products = self._products + other._products

    @property
    def mean(self) -> Float64:
        """Return the mean of what is missing, (groups, outputs)."""
        return np.asarray(self._sum / self._count)

    @property
    def is_solved(self) -> bool:
        """Return whether its layer can be refitted."""
        return self._products is not None

    def lost_mean(self, lost: Float64) -> Float64:
        """Return by how much the mean of each output is too low, (outputs,).

        What is ``lost`` of the matrix counts as well.
        """
        own = (lost * self.moments.mean.reshape(len(lost), 1, -1)).sum(axis=2)
        return np.asarray((self.mean + own).ravel())

    def refitted(self, layer: WeightedLayer, pull: float) -> Float64:
        """Return the matrix near the layer's that makes up for what is missing."""
        matrix = layer.matrix(layer.weight).astype(np.float64)
        if self._products is None:
            return matrix
        matrix += _change(self._second(), self._cross(), pull)
        return matrix

    def in_single(self, unit: float) -> tuple[Float32, Float32]:
        """Return the second moments and those with what is missing, for errors to be compared.

        They are multiples of ``unit``, which float32 then holds.
        """
        return _single(self._second(), unit), _single(self._cross(), unit)

    def _second(self) -> Float64:
        """Return the second moments of the inputs: about their mean where there is a bias."""
        second, mean = self.moments.covariance, self.moments.mean
        return second if self._has_bias else second + mean[:, :, None] * mean[:, None, :]

    def _cross(self) -> Float64:
        """Return those of what is missing with the inputs, (groups, outputs, inputs)."""
        assert self._products is not None
        cross = self._products.astype(np.float64)
        cross /= self._count
        if self._has_bias:
            cross -= self.mean[:, :, None] * self.moments.mean[:, None, :]
        return cross


def best_pull(
    pulls: Sequence[float], fit: tuple[Float32, Float32], unseen: tuple[Float32, Float32]
) -> float:
    """Return that of the pulls which fits some samples such that others lack least."""
    second, cross = unseen

    def error(pull: float) -> float:
        change = _change(*fit, pull)
        return float(((change @ second - 2 * cross) * change).sum(dtype=np.float64))

    return _lowest(pulls, error)


def _lowest(values: Sequence[float], error: Callable[[float], float]) -> float:
    """Return the value of least error, downhill from the middle: these errors have one valley."""
    error = cache(error)
    at = (len(values) - 1) // 2
    for step in (1, -1):
        while 0 <= at + step < len(values) and error(values[at + step]) < error(values[at]):
            at += step
    return values[at]


def _single(moments: Float64, unit: float) -> Float32:
    """Return moments as multiples of ``unit``, in float32: for errors that are only compared."""
    moments /= unit
    return moments.astype(np.float32)


def _change(second: Array, cross: Array, pull: float) -> Array:
    """Return what to add to a matrix, by least squares, so held by a part of the variance."""
    every = np.arange(second.shape[1])
    diagonal = second[:, every, every]
    added = pull * diagonal.mean(axis=1, keepdims=True) + _SMALL
    second[:, every, every] = diagonal + added  # a copy would be large
    change = solve(second, cross.transpose(0, 2, 1)).transpose(0, 2, 1)
    second[:, every, every] = diagonal
    return change


def _can_be_refitted(layer: WeightedLayer, moments: InputMoments) -> bool:
    """Return whether a layer is its matrix and a bias alone, small enough to solve for."""
    plain = layer.bias is not None or layer.node.op_type == "MatMul"
    return plain and moments.blocks == 1
