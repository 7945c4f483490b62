"""The rules of operators that only move channels about: join, cut, permute or reshape them."""

from __future__ import annotations

from math import prod

import numpy as np
from onnx import NodeProto

from ..core.graph import Shape, attributes, constant_value
from .atoms import FROZEN, Axis, frozen
from .dependency import Dependency


def concat(dep: Dependency, node: NodeProto) -> None:
    """The axes are joined end to end; along the others the parts belong together."""
    parts = [dep.of(name) for name in node.input]
    at = attributes(node)["axis"] % len(parts[0])
    out = []
    for position in range(len(parts[0])):
        axes = [part[position] for part in parts]
        if position == at:
            out.append(np.concatenate(axes))
            continue
        for other in axes[1:]:
            dep.atoms.unite(axes[0], other)
        out.append(axes[0])
    dep.forward(node.output[0], out)


def split(dep: Dependency, node: NodeProto) -> None:
    """Each part gets its share of the axis."""
    x = dep.of(node.input[0])
    at = attributes(node).get("axis", 0) % len(x)
    start = 0
    for name in node.output:
        size = dep.shape(name)[at]
        out = list(x)
        out[at] = x[at][start : start + size]
        dep.forward(name, out)
        start += size


def slice_(dep: Dependency, node: NodeProto) -> None:
    """Axes that are cut are frozen; the others pass through."""
    steps = constant_value(dep.graph, node, 4)
    if len(node.input) > 4 and (steps is None or (steps < 0).any()):
        dep.freeze_node(node)  # it may reverse an axis without changing its length
        return
    x = dep.of(node.input[0])
    shape = dep.shape(node.output[0])
    out = []
    for axis, size in zip(x, shape, strict=True):
        if axis.size != size:
            dep.atoms.freeze(axis)
        out.append(axis if axis.size == size else frozen(size))
    dep.forward(node.output[0], out)


def transpose(dep: Dependency, node: NodeProto) -> None:
    """The axes change places."""
    x = dep.of(node.input[0])
    order = attributes(node).get("perm") or list(reversed(range(len(x))))
    dep.forward(node.output[0], [x[position] for position in order])


def reshape(dep: Dependency, node: NodeProto) -> None:
    """For Reshape, Flatten, Squeeze and Unsqueeze: match runs of axes of equal product."""
    x = dep.of(node.input[0])
    out: list[Axis] = []
    for ins, outs in matched_runs(dep.shape(node.input[0]), dep.shape(node.output[0])):
        out.extend(_regroup(dep, [x[i] for i in ins], [dep.shape(node.output[0])[o] for o in outs]))
    dep.forward(node.output[0], out)


def matched_runs(source: Shape, target: Shape) -> list[tuple[list[int], list[int]]]:
    """Split two shapes into runs of axes with equal products.

    >>> matched_runs((1, 64, 7, 7), (1, 3136))
    [([0], [0]), ([1, 2, 3], [1])]
    """
    runs: list[tuple[list[int], list[int]]] = []
    i = o = 0
    while i < len(source) or o < len(target):
        ins, outs = [i] if i < len(source) else [], [o] if o < len(target) else []
        i, o = i + len(ins), o + len(outs)
        while (left := prod(source[a] for a in ins)) != (right := prod(target[a] for a in outs)):
            if left < right:
                ins.append(i)
                i += 1
            else:
                outs.append(o)
                o += 1
        runs.append((ins, outs))
    return runs


def _regroup(dep: Dependency, axes: list[Axis], sizes: list[int]) -> list[Axis]:
    """Atoms of the new axes; only one axis of a run may carry channels, else all is frozen."""
    shape = [axis.size for axis in axes]
    live = [i for i, axis in enumerate(axes) if (axis != FROZEN).any() and axis.size > 1]
    for axis in axes:
        if axis.size == 1:
            dep.atoms.freeze(axis)
    if not live:
        return [frozen(size) for size in sizes]
    if len(live) == 1:
        at = live[0]
        view = axes[at].reshape([-1 if i == at else 1 for i in range(len(shape))])
        grid = np.broadcast_to(view, shape).reshape(sizes)
        varying = [i for i in range(grid.ndim) if (grid != grid.take([0], axis=i)).any()]
        if len(varying) == 1:
            index = tuple(slice(None) if i == varying[0] else 0 for i in range(grid.ndim))
            return [grid[index] if i == varying[0] else frozen(n) for i, n in enumerate(sizes)]
    for axis in axes:
        dep.atoms.freeze(axis)
    return [frozen(size) for size in sizes]


def resized(dep: Dependency, node: NodeProto) -> None:
    """Axes whose length changes are frozen; the others pass through."""
    x = dep.of(node.input[0])
    shape = dep.shape(node.output[0])
    for axis, size in zip(x, shape, strict=True):
        if axis.size != size:
            dep.atoms.freeze(axis)
    dep.forward(
        node.output[0],
        [axis if axis.size == size else frozen(size) for axis, size in zip(x, shape, strict=True)],
    )
