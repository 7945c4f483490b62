"""The channel-dependency graph, built on the ONNX graph itself.

Every axis of every tensor and of every initializer is an array of atoms; each operator says which
atoms belong together. There is no special case for residual connections, squeeze-and-excitation,
concatenation or depthwise convolution: they follow from the rules of the single operators in
``channel_rules.py``. An operator without a rule freezes all that it touches, and is in ``unknown``.

The idea of grouping coupled layers follows DepGraph (Fang et al., CVPR 2023, arXiv:2301.12900);
working per index on tensor axes instead of per layer lets Concat, Flatten and Split be exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from ...core.graphs.graph import Graph, read_by
from ...core.types import Array, Shape
from .blocks import Block

AtomAxis = NDArray[np.int64]
FROZEN = 0


class DisjointSets:
    """A union-find forest over integers (path halving; the smaller root wins, so FROZEN does).

    Every channel of every tensor axis carries one, an atom. Two are in one set when one channel
    cannot be removed without the other; what is in a set with FROZEN is never removed.

    >>> atoms = DisjointSets()
    >>> weight, activation = atoms.make(3), atoms.make(3)
    >>> atoms.union(weight, activation)
    >>> bool((atoms.find(weight) == atoms.find(activation)).all())
    True
    """

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


@dataclass
class DependencyGraph:
    """Tensor name -> one atom array per axis, for the whole graph.

    ``unknown`` lists the operator types that froze what they touch, with the number of nodes.
    ``blocks`` has the residual blocks that can be left out, by a root of their own each: removed
    with that root is the whole block.
    """

    graph: Graph
    atoms: DisjointSets = field(default_factory=DisjointSets)
    axes: dict[str, list[AtomAxis]] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    blocks: dict[int, Block] = field(default_factory=dict)

    def axes_of(self, name: str) -> list[AtomAxis]:
        """Return the axes of a tensor; an initializer gets new atoms when first asked for."""
        if name not in self.axes:
            self.axes[name] = [self._weight_axis(size) for size in self.shape(name)]
        return self.axes[name]

    def shape(self, name: str) -> Shape:
        """Return the fixed shape of a tensor; () when unknown: nothing can be removed from it."""
        return self.graph.shapes.get(name, ())

    def freeze_tensor(self, name: str) -> None:
        """Freeze all channels of a tensor."""
        for axis in self.axes_of(name):
            self.atoms.freeze(axis)

    def freeze_output(self, name: str) -> None:
        """Record that nothing is removed from a node's output."""
        self.axes[name] = [frozen(size) for size in self.shape(name)]

    def freeze_node(self, node: NodeProto) -> None:
        """Freeze all that a node touches, and count its operator in ``unknown``."""
        self.unknown[node.op_type] = self.unknown.get(node.op_type, 0) + 1
        for name in read_by(node):
            self.freeze_tensor(name)
        for name in filter(None, node.output):
            self.freeze_output(name)

    def masks(self, name: str, removed: Array) -> list[Array]:
        """Return a boolean mask for each axis of a tensor, True where a channel stays.

        ``removed`` is a boolean mask over all roots.
        """
        return [~removed[self.atoms.find(axis)] for axis in self.axes.get(name, [])]

    def empty_mask(self) -> Array:
        """Return a boolean mask over all roots with nothing removed yet."""
        return np.zeros(len(self.atoms), dtype=bool)

    def block_of(self, roots: AtomAxis) -> Block | None:
        """Return the block that a group of one root stands for, or None."""
        return self.blocks.get(int(roots[0]))

    def removed_blocks(self, removed: Array) -> list[Block]:
        """Return the blocks whose roots are in the mask ``removed``, in the order of the graph."""
        return [block for root, block in self.blocks.items() if removed[root]]

    def _weight_axis(self, size: int) -> AtomAxis:
        # an axis of length 1 is broadcast or a lone channel: removing it would leave nothing
        return self.atoms.make(size) if size > 1 else frozen(size)
