"""The rules of operators that repeat values along an axis: Expand and Tile."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from .dependency_graph import DependencyGraph, frozen


def expand(dep: DependencyGraph, node: NodeProto) -> None:
    """Pass the axes that keep their length through; those that are filled are as wide as asked for.

    What is divided by a norm, say, decides how wide the norm is spread.
    """
    x, shape = dep.axes_of(node.input[0]), dep.shape(node.output[0])
    missing = [frozen(1)] * (len(shape) - len(x))
    dep.axes[node.output[0]] = [
        axis if axis.size == size else dep.atoms.make(size)
        for axis, size in zip([*missing, *x], shape, strict=True)
    ]


def tile(dep: DependencyGraph, node: NodeProto) -> None:
    """Let all copies of a channel go with it; a single one is filled in as in Expand."""
    x, shape = dep.axes_of(node.input[0]), dep.shape(node.output[0])
    dep.axes[node.output[0]] = [
        dep.atoms.make(size) if size > axis.size == 1 else np.tile(axis, size // axis.size)
        for axis, size in zip(x, shape, strict=True)
    ]
