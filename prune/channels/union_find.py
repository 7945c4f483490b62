"""Disjoint sets of channel indices ("atoms").

Every channel of every tensor axis carries an atom. Two atoms are united when one channel cannot be
removed without the other. Atom 0 is FROZEN: what is united with it is never removed.

>>> atoms = Atoms()
>>> weight, activation = atoms.fresh(3), atoms.fresh(3)
>>> atoms.unite(weight, activation)
>>> bool((atoms.roots(weight) == atoms.roots(activation)).all())
True
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Axis = NDArray[np.int64]
FROZEN = 0


class Atoms:
    """A union-find forest over integers (path halving; the smaller root wins, so FROZEN does)."""

    def __init__(self) -> None:
        self._parent: list[int] = [FROZEN]
        self._roots: Axis | None = None  # of all atoms, once nothing is united any more

    def __len__(self) -> int:
        return len(self._parent)

    def fresh(self, count: int) -> Axis:
        """``count`` new atoms, each in a set of its own."""
        start = len(self._parent)
        self._parent.extend(range(start, start + count))
        self._roots = None
        return np.arange(start, start + count)

    def unite(self, left: Axis, right: Axis) -> None:
        """Unite the atoms pairwise; both axes have the same length."""
        differing = left != right
        self._roots = None
        for a, b in zip(left[differing].tolist(), right[differing].tolist(), strict=True):
            low, high = sorted((self._find(a), self._find(b)))
            self._parent[high] = low

    def freeze(self, axis: Axis) -> None:
        """Mark every atom of the axis as never to be removed."""
        self.unite(axis, frozen(axis.size))

    def roots(self, axis: Axis) -> Axis:
        """The representative of each atom's set."""
        if self._roots is None:
            self._roots = np.array([self._find(atom) for atom in range(len(self))], dtype=np.int64)
        found: Axis = self._roots[axis]
        return found

    def _find(self, atom: int) -> int:
        parent = self._parent
        while parent[atom] != atom:
            parent[atom] = parent[parent[atom]]
            atom = parent[atom]
        return atom


def frozen(count: int) -> Axis:
    """An axis of ``count`` atoms that are all FROZEN."""
    return np.full(count, FROZEN, dtype=np.int64)
