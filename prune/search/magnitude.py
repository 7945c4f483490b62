"""The baseline: a channel counts as much as the weights that it takes along."""

from __future__ import annotations

import numpy as np

from ...core.types import Float64
from ..channels.dependency_graph import Dependency
from ..channels.groups import Group


def magnitudes(dependency: Dependency, group: Group) -> Float64:
    """L2 norm of all weights that vanish with each channel (channels,), without data.

    The group norm of DepGraph (Fang et al., CVPR 2023, arXiv:2301.12900); vectors, such as biases,
    are left out.
    """
    total = np.zeros(group.size)
    for name, axis in group.places:
        weight = dependency.graph.weights[name]
        if weight.ndim < 2:
            continue
        others = tuple(position for position in range(weight.ndim) if position != axis)
        energy = np.square(weight.astype(np.float64)).sum(axis=others)
        roots = dependency.atoms.roots(dependency.axes[name][axis])
        total += np.array([energy[roots == root].sum() for root in group.roots])
    return np.asarray(np.sqrt(total))
