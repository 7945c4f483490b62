"""The order in which to remove the channels of a group, by their importance.

Structured optimal brain surgeon: Kurtic, Frantar and Alistarh, "ZipLM: Inference-Aware Structured
Pruning of Language Models", NeurIPS 2023 (arXiv:2302.04089). Removing the columns S of a layer with
matrix W costs tr(W_S [(H^-1)_SS]^-1 W_S^T) in squared output error when the other columns make up
for it as well as they can; H is the covariance of the layer's inputs. The cheapest channel goes
first, then W and H^-1 are updated as if it had never been there. The baselines are the energy of a
channel and the size of its weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.linear_systems import solve
from ...core.streaming.moments import ridge
from ...core.types import Float64
from ..channels.dependency_graph import DependencyGraph
from ..channels.groups import Group

Columns = NDArray[np.int64]
_RIDGE = 1e-2


@dataclass
class Reader:
    """A layer that reads a group: its matrix, input covariance and the columns of each channel."""

    matrix: Float64
    covariance: Float64
    columns: list[Columns]


def removal_order(
    readers: list[Reader], criterion: str = "obs", least: int = 1
) -> NDArray[np.int64]:
    """Return the channel indices from the cheapest to the dearest, by the error of all readers.

    The error of each reader is taken relative to the variance of its outputs. ``criterion`` is obs,
    or wanda for the energy that a channel brings to its readers, with nothing to make up for it.
    The order of the last ``least`` channels, which are kept anyway, is that of their index.

    >>> reader = Reader(np.array([[1.0, 0.1, 2.0]]), np.eye(3), [np.array([i]) for i in range(3)])
    >>> removal_order([reader]).tolist()
    [1, 0, 2]
    """
    if criterion == "wanda":
        energies = np.sum([_energy_shares(reader) for reader in readers], axis=0)
        return np.asarray(np.argsort(energies, kind="stable"))
    states = [_ReaderState(reader) for reader in readers]
    left = list(range(len(readers[0].columns)))
    order: list[int] = []
    batch = max(1, len(left) // 64)
    while len(left) > least:
        scores = np.sum([state.costs(left) for state in states], axis=0)
        cheapest = [left[at] for at in np.argsort(scores, kind="stable")[:batch]]
        for state in states:
            state.remove(cheapest)
        order.extend(cheapest)
        left = [channel for channel in left if channel not in set(cheapest)]
    return np.array([*order, *left], dtype=np.int64)


def _energy_shares(reader: Reader) -> Float64:
    """Return the share of the reader's output variance that each channel brings (channels,).

    Source: Sun et al., "A Simple and Effective Pruning Approach for Large Language Models",
    arXiv:2306.11695, for whole channels.
    """
    single = reader.covariance.diagonal() * np.square(reader.matrix).sum(axis=0)
    energies = np.array([single[columns].sum() for columns in reader.columns])
    return np.asarray(energies / (single.sum() + 1e-12), dtype=np.float64)


def magnitudes(dependency: DependencyGraph, group: Group) -> Float64:
    """Return the L2 norm of all weights that are removed with each channel (channels,).

    The group norm of DepGraph (Fang et al., CVPR 2023, arXiv:2301.12900); vectors, such as biases,
    are left out.
    """
    total = np.zeros(group.size)
    for name, axis in group.weight_axes:
        weight = dependency.graph.weights[name]
        if weight.ndim < 2:
            continue
        others = tuple(position for position in range(weight.ndim) if position != axis)
        energy = np.square(weight.astype(np.float64)).sum(axis=others)
        roots = dependency.atoms.find(dependency.axes[name][axis])
        total += np.array([energy[roots == root].sum() for root in group.roots])
    return np.asarray(np.sqrt(total))


class _ReaderState:
    """A reader while its channels are being removed."""

    def __init__(self, reader: Reader) -> None:
        self._columns = np.stack(reader.columns)  # (channels, columns of each)
        self._matrix = reader.matrix.copy()
        self._inverse = np.linalg.inv(ridge(reader.covariance, _RIDGE))
        variance = np.sum(reader.matrix @ reader.covariance * reader.matrix)
        self._scale = 1.0 / (float(variance) + 1e-12)

    def costs(self, channels: list[int]) -> Float64:
        """Return the error of removing each channel (channels,), all systems solved in one call."""
        columns = self._columns[channels]
        weights = self._matrix[:, columns].transpose(1, 2, 0)  # (channels, columns, outputs)
        inner = self._inverse[columns[:, :, None], columns[:, None, :]]
        errors = np.sum(weights * solve(inner, weights), axis=(1, 2))
        return np.asarray(self._scale * errors, dtype=np.float64)

    def remove(self, channels: list[int]) -> None:
        """Remove channels, and update what the others cost."""
        columns = self._columns[channels].ravel()
        inner = self._inverse[np.ix_(columns, columns)]
        step = solve(inner, self._inverse[columns])
        self._matrix -= self._matrix[:, columns] @ step
        self._inverse -= self._inverse[:, columns] @ step
        # what is removed must not be counted again, and must not make the matrix singular
        self._matrix[:, columns] = 0
        self._inverse[columns] = self._inverse[:, columns] = 0
        self._inverse[columns, columns] = 1.0
