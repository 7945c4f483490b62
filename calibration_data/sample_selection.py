"""Choose some of the samples: seeded, spread evenly over the labels or over the order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core.errors import OptionError

Indices = NDArray[np.int64]


def choose(total: int, count: int, seed: int, labels: NDArray[np.int64] | None) -> Indices:
    """Choose ``count`` of ``total`` indices, in ascending order; all where there are not more.

    The samples are ordered by label (by index without labels), cut into ``count`` runs of almost
    equal length, and one is drawn from each. So every class keeps its share, to within one sample
    at either end of its run. Raises OptionError for a count below 1.

    >>> labels = np.repeat([0, 1], 50)
    >>> np.bincount(labels[choose(100, 10, 0, labels)]).tolist()
    [5, 5]
    """
    if count < 1:
        raise OptionError(f"{count} samples cannot be chosen", "give a count of at least 1")
    if count >= total:
        return np.arange(total, dtype=np.int64)
    generator = np.random.default_rng(seed)
    order = np.arange(total) if labels is None else _shuffled_within_labels(labels, generator)
    edges = np.arange(count + 1, dtype=np.int64) * total // count
    chosen = order[generator.integers(edges[:-1], edges[1:])]
    return np.sort(chosen).astype(np.int64)


def _shuffled_within_labels(
    labels: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.int64]:
    shuffled = generator.permutation(len(labels))
    ordered: NDArray[np.int64] = shuffled[np.argsort(labels[shuffled], kind="stable")]
    return ordered
