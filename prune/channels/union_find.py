"""Disjoint sets of channel indices ("atoms").

Every channel of every tensor axis carries an atom. Two atoms are in one set when one channel cannot
be removed without the other. Atom 0 is FROZEN: what is in a set with it is never removed.

>>> atoms = DisjointSets()
>>> weight, activation = atoms.make(3), atoms.make(3)
>>> atoms.union(weight, activation)
>>> bool((atoms.find(weight) == atoms.find(activation)).all())
True
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

AtomAxis = NDArray[np.int64]
FROZEN = 0


class DisjointSets:
    """A union-find forest over integers (path halving; the smaller root wins, so FROZEN does)."""

    def __init__(self) -> None:
        self._parent: list[int] = [FROZEN]
        self._roots: AtomAxis | None = None  # of all atoms, once no sets are united any more

    def __len__(self) -> int:
        return len(self._parent)

    def make(self, count: int) -> AtomAxis:
        """Return ``count`` new atoms, each in a set of its own."""
        start = len(self._parent)
        self._parent.extend(range(start, start + count))
        self._roots = None
        return np.arange(start, start + count)

    def union(self, left: AtomAxis, right: AtomAxis) -> None:
        """Unite the sets of the atoms pairwise; both axes have the same length."""
        differing = left != right
        self._roots = None
        for a, b in zip(left[differing].tolist(), right[differing].tolist(), strict=True):
            low, high = sorted((self._root(a), self._root(b)))
            self._parent[high] = low

    def freeze(self, axis: AtomAxis) -> None:
        """Mark every atom of the axis as never to be removed."""
        self.union(axis, frozen(axis.size))

    def find(self, axis: AtomAxis) -> AtomAxis:
        """Return the root, which stands for the set, of each atom."""
        if self._roots is None:
            self._roots = np.array([self._root(atom) for atom in range(len(self))], dtype=np.int64)
        roots: AtomAxis = self._roots[axis]
        return roots

    def _root(self, atom: int) -> int:
        parent = self._parent
        while parent[atom] != atom:
            parent[atom] = parent[parent[atom]]
            atom = parent[atom]
        return atom


def frozen(count: int) -> AtomAxis:
    """Return an axis of ``count`` atoms that are all FROZEN."""
    return np.full(count, FROZEN, dtype=np.int64)
