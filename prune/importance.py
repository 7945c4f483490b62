"""In which order to remove the channels of a group: structured optimal brain surgeon.

Source: Kurtic, Frantar and Alistarh, "ZipLM: Inference-Aware Structured Pruning of Language
Models", NeurIPS 2023 (arXiv:2302.04089). Removing the columns S of a layer with matrix W costs
tr(W_S [(H^-1)_SS]^-1 W_S^T) in squared output error when the other columns make up for it as well
as they can; H is the covariance of the layer's inputs. The cheapest channel goes first, then W and
H^-1 are updated as if it had never been there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..calibration_data.moments import Float, ridge

Columns = NDArray[np.int64]
_RIDGE = 1e-2


@dataclass
class Reader:
    """One layer that reads the group: its matrix, input covariance and the columns per channel."""

    matrix: Float
    covariance: Float
    columns: list[Columns]


def removal_order(readers: list[Reader]) -> NDArray[np.int64]:
    """Channel indices from the cheapest to the dearest, by the error of all readers together.

    The error of each reader is taken relative to the variance of its outputs.

    >>> reader = Reader(np.array([[1.0, 0.1, 2.0]]), np.eye(3), [np.array([i]) for i in range(3)])
    >>> removal_order([reader]).tolist()
    [1, 0, 2]
    """
    states = [_State(reader) for reader in readers]
    left = list(range(len(readers[0].columns)))
    order: list[int] = []
    batch = max(1, len(left) // 64)
    while left:
        scores = np.sum([state.costs(left) for state in states], axis=0)
        for position in np.argsort(scores, kind="stable")[:batch]:
            order.append(left[position])
            for state in states:
                state.remove(left[position])
        left = [channel for channel in left if channel not in set(order[-batch:])]
    return np.array(order, dtype=np.int64)


class _State:
    """A reader while its channels are being removed."""

    def __init__(self, reader: Reader) -> None:
        self._columns = np.stack(reader.columns)  # (channels, columns of each)
        self._matrix = reader.matrix.copy()
        self._inverse = np.linalg.inv(ridge(reader.covariance, _RIDGE))
        variance = np.einsum("ij,jk,ik->", reader.matrix, reader.covariance, reader.matrix)
        self._scale = 1.0 / (float(variance) + 1e-12)

    def costs(self, channels: list[int]) -> Float:
        """Error of removing each channel, all small systems solved in one call."""
        columns = self._columns[channels]
        weights = self._matrix[:, columns].transpose(1, 2, 0)  # (channels, columns, outputs)
        inner = self._inverse[columns[:, :, None], columns[:, None, :]]
        errors = np.sum(weights * np.linalg.solve(inner, weights), axis=(1, 2))
        return np.asarray(self._scale * errors, dtype=np.float64)

    def remove(self, channel: int) -> None:
        columns = self._columns[channel]
        inner = self._inverse[np.ix_(columns, columns)]
        step = np.linalg.solve(inner, self._inverse[columns])
        self._matrix -= self._matrix[:, columns] @ step
        self._inverse -= self._inverse[:, columns] @ step
        # what is removed must not be counted again, and must not make the matrix singular
        self._matrix[:, columns] = 0
        self._inverse[columns] = self._inverse[:, columns] = 0
        self._inverse[columns, columns] = 1.0
