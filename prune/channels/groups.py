"""Groups of channels that can be removed one by one, each with all that depends on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from ...core.graphs.graph import Graph, free_name, output_axis
from .dependency_graph import FROZEN, AtomAxis, DependencyGraph

WeightAxis = tuple[str, int]  # name of an initializer, axis


@dataclass(frozen=True)
class Group:
    """Channels that live in the same weights: ``roots[i]`` stands for channel i in all of them.

    ``weight_axes`` are those from which a removed channel disappears. ``outputs_per_channel`` is
    the number of outputs that the layer which produces the channels has for each of them: more than
    one for the heads of an attention, and before a grouped convolution.
    """

    name: str
    roots: AtomAxis
    weight_axes: tuple[WeightAxis, ...]
    outputs_per_channel: int = 1

    @property
    def size(self) -> int:
        """Return the number of channels."""
        return int(self.roots.size)


def find_groups(dependency: DependencyGraph) -> list[Group]:
    """Return all groups of at least two channels, in the order of their first weight."""
    graph = dependency.graph
    shares: dict[int, dict[tuple[str, int, int], None]] = defaultdict(dict)
    for name in graph.weights:
        for position, axis in enumerate(dependency.axes.get(name, [])):
            roots, counts = np.unique(dependency.atoms.find(axis), return_counts=True)
            for root, times in zip(roots.tolist(), counts.tolist(), strict=True):
                if root != FROZEN:
                    shares[root][(name, position, times)] = None
    # channels that fill unequal shares of a weight (after a Flatten, say) are no single group
    channels: dict[tuple[tuple[str, int, int], ...], list[int]] = defaultdict(list)
    for root, axes in shares.items():
        channels[tuple(axes)].append(root)
    groups: dict[str, Group] = {}
    for counted, members in channels.items():
        if len(members) > 1:
            weight_axes = tuple((weight, axis) for weight, axis, _ in counted)
            name = _name(graph, weight_axes, groups)
            per_channel = [n for weight, at, n in counted if producing_layers(graph, weight, at)]
            group_roots = np.array(sorted(members), dtype=np.int64)
            groups[name] = Group(name, group_roots, weight_axes, max(per_channel, default=1))
    return list(groups.values())


def block_groups(dependency: DependencyGraph) -> list[Group]:
    """Return every block that can be removed whole, as a group of one channel."""
    return [
        Group(block.name, np.array([root], dtype=np.int64), ())
        for root, block in dependency.blocks.items()
    ]


def _name(graph: Graph, axes: tuple[WeightAxis, ...], taken: Container[str]) -> str:
    """Return the name of the weight that produces the channels, else of the first that has them.

    A weight may produce several groups, when a Split parts its outputs: the second is ``name#2``.
    """
    producers = [name for name, axis in axes if producing_layers(graph, name, axis)]
    return free_name((producers or [axes[0][0]])[0], taken)


def producing_layers(graph: Graph, weight: str, axis: int) -> list[NodeProto]:
    """Return the layers whose outputs lie along an axis of a weight; none for other axes."""
    return [
        node
        for node in graph.consumers.get(weight, [])
        if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul")
        and node.input[1] == weight
        and axis == output_axis(node)
    ]
