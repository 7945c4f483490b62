"""The channel-dependency graph, built on the ONNX graph itself.

Every axis of every tensor and of every initializer is an array of atoms; each operator says which
atoms belong together. There is no special case for residual connections, squeeze-and-excitation,
concatenation or depthwise convolution: they follow from the rules of the single operators in
``rules.py``. An operator without a rule freezes all it touches, and is named in ``unknown``.

The idea of grouping coupled layers follows DepGraph (Fang et al., CVPR 2023, arXiv:2301.12900);
working per index on tensor axes instead of per layer lets Concat, Flatten and Split be exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from onnx import NodeProto

from ...core.graphs.graph import Graph, read_by
from ...core.types import Array, Shape
from .blocks import Block
from .union_find import Atoms, Axis, frozen


@dataclass
class Dependency:
    """Tensor name -> one atom array per axis, for the whole graph.

    ``unknown`` lists the operator types that froze what they touch, with the number of nodes.
    ``blocks`` has the residual blocks that can be left out, by a root of their own each: removed
    with that root is the whole block.
    """

    graph: Graph
    atoms: Atoms = field(default_factory=Atoms)
    axes: dict[str, list[Axis]] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    blocks: dict[int, Block] = field(default_factory=dict)

    def of(self, name: str) -> list[Axis]:
        """The axes of a tensor; an initializer gets fresh atoms when it is first asked for."""
        if name not in self.axes:
            self.axes[name] = [self._weight_axis(size) for size in self.shape(name)]
        return self.axes[name]

    def shape(self, name: str) -> Shape:
        """The fixed shape of a tensor (empty when unknown: nothing can be removed from it)."""
        return self.graph.shapes.get(name, ())

    def freeze_tensor(self, name: str) -> None:
        """Never remove any channel of this tensor."""
        for axis in self.of(name):
            self.atoms.freeze(axis)

    def forward(self, name: str, axes: list[Axis]) -> None:
        """Give an output tensor its axes."""
        self.axes[name] = axes

    def frozen_output(self, name: str) -> None:
        """Give an output tensor axes from which nothing is removed."""
        self.axes[name] = [frozen(size) for size in self.shape(name)]

    def freeze_node(self, node: NodeProto) -> None:
        """Hold all that a node touches, and name its operator: it is not known to be safe."""
        self.unknown[node.op_type] = self.unknown.get(node.op_type, 0) + 1
        for name in read_by(node):
            self.freeze_tensor(name)
        for name in filter(None, node.output):
            self.frozen_output(name)

    def kept(self, axis: Axis, removed: Array) -> Array:
        """Boolean mask over the axis: which channels stay. ``removed`` is indexed by root."""
        mask: Array = ~removed[self.atoms.roots(axis)]
        return mask

    def nothing_removed(self) -> Array:
        """A mask over all roots with nothing removed yet."""
        return np.zeros(len(self.atoms), dtype=bool)

    def block_of(self, roots: Axis) -> Block | None:
        """The block that a group of one root stands for, if it does."""
        return self.blocks.get(int(roots[0]))

    def left_out(self, removed: Array) -> list[Block]:
        """The blocks that are removed, in the order of the graph."""
        return [block for root, block in self.blocks.items() if removed[root]]

    def _weight_axis(self, size: int) -> Axis:
        # an axis of length 1 is broadcast or a lone channel: removing it would leave nothing
        return self.atoms.fresh(size) if size > 1 else frozen(size)
