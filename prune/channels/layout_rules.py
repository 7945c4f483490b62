"""The rules of operators that only rearrange channels: join, cut, permute or reshape them."""

from __future__ import annotations

from math import prod

import numpy as np
from onnx import NodeProto

from ...core.graphs.graph import attributes, constant_value
from ...core.types import Shape
from .dependency_graph import FROZEN, AtomAxis, DependencyGraph, frozen

# keys and values, or queries too, are often made by one layer
_PACKED = (2, 3)


def concat(dep: DependencyGraph, node: NodeProto) -> None:
    """Join one axis end to end; along the others the parts belong together."""
    parts = [dep.axes_of(name) for name in node.input]
    at = attributes(node)["axis"] % len(parts[0])
    out = []
    for position in range(len(parts[0])):
        axes = [part[position] for part in parts]
        if position == at:
            out.append(np.concatenate(axes))
            continue
        for other in axes[1:]:
            dep.atoms.union(axes[0], other)
        out.append(axes[0])
    dep.axes[node.output[0]] = out


def split(dep: DependencyGraph, node: NodeProto) -> None:
    """Give each part its share of the axis."""
    x = dep.axes_of(node.input[0])
    at = attributes(node).get("axis", 0) % len(x)
    start = 0
    for name in node.output:
        size = dep.shape(name)[at]
        out = list(x)
        out[at] = x[at][start : start + size]
        dep.axes[name] = out
        start += size


def slice_(dep: DependencyGraph, node: NodeProto) -> None:
    """Pass a run of an axis through; freeze an axis that is cut in another way."""
    x, shape = dep.axes_of(node.input[0]), dep.shape(node.output[0])
    runs = slice_runs(dep, node)
    if runs is None:
        if any(_may_reverse(dep, node)):
            dep.freeze_node(node)  # it may reverse an axis without changing its length
            return
        runs = {}
    out = []
    for at, (axis, size) in enumerate(zip(x, shape, strict=True)):
        if axis.size != size and at not in runs:
            dep.atoms.freeze(axis)
        run = axis[slice(*runs[at])] if at in runs else axis
        out.append(run if run.size == size else frozen(size))
    dep.axes[node.output[0]] = out


def slice_runs(dep: DependencyGraph, node: NodeProto) -> dict[int, tuple[int, int]] | None:
    """Return axis -> (first, last + 1) index of a Slice by constants in steps of one, else None."""
    starts, ends, axes, steps = (constant_value(dep.graph, node, at) for at in (1, 2, 3, 4))
    computed = [bool(name) and not dep.graph.is_weight(name) for name in node.input[1:]]
    if starts is None or ends is None or any(computed):
        return None
    if steps is not None and (steps != 1).any():
        return None
    shape = dep.shape(node.input[0])
    positions = range(len(starts)) if axes is None else axes.tolist()
    runs = {}
    for at, start, end in zip(positions, starts.tolist(), ends.tolist(), strict=True):
        low, high, _ = slice(start, end).indices(shape[at])
        runs[at % len(shape)] = (low, max(low, high))
    return runs


def _may_reverse(dep: DependencyGraph, node: NodeProto) -> list[bool]:
    if len(node.input) < 5:
        return []
    steps = constant_value(dep.graph, node, 4)
    return [steps is None or bool((steps < 0).any())]


def gather(dep: DependencyGraph, node: NodeProto) -> None:
    """Freeze the axis that is picked from; the others pass through."""
    x = dep.axes_of(node.input[0])
    at = attributes(node).get("axis", 0) % len(x)
    dep.atoms.freeze(x[at])
    for axis in dep.axes_of(node.input[1]):
        dep.atoms.freeze(axis)
    picked = [frozen(size) for size in dep.shape(node.input[1])]
    dep.axes[node.output[0]] = [*x[:at], *picked, *x[at + 1 :]]


def depth_to_space(dep: DependencyGraph, node: NodeProto) -> None:
    """Unite the channels that become one."""
    settings, x = attributes(node), dep.axes_of(node.input[0])
    tiles = settings["blocksize"] ** 2
    order = (tiles, -1) if settings.get("mode", "DCR") == "DCR" else (-1, tiles)
    grid = x[1].reshape(order)
    grid = grid if order[0] == tiles else grid.T
    for other in grid[1:]:
        dep.atoms.union(grid[0], other)
    for axis in x[2:]:
        dep.atoms.freeze(axis)
    spatial = [frozen(size) for size in dep.shape(node.output[0])[2:]]
    dep.axes[node.output[0]] = [x[0], grid[0], *spatial]


def transpose(dep: DependencyGraph, node: NodeProto) -> None:
    """Permute the axes."""
    x = dep.axes_of(node.input[0])
    order = attributes(node).get("perm") or list(reversed(range(len(x))))
    dep.axes[node.output[0]] = [x[position] for position in order]


def reshape(dep: DependencyGraph, node: NodeProto) -> None:
    """Match runs of axes of equal product: Reshape, Flatten, Squeeze and Unsqueeze."""
    x = dep.axes_of(node.input[0])
    out: list[AtomAxis] = []
    for ins, outs in matched_runs(dep.shape(node.input[0]), dep.shape(node.output[0])):
        out.extend(_regroup(dep, [x[i] for i in ins], [dep.shape(node.output[0])[o] for o in outs]))
    dep.axes[node.output[0]] = out


def matched_runs(source: Shape, target: Shape) -> list[tuple[list[int], list[int]]]:
    """Split two shapes into pairs of runs of axes with equal products.

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


def _regroup(dep: DependencyGraph, axes: list[AtomAxis], sizes: list[int]) -> list[AtomAxis]:
    """Return the atoms of the new axes; all frozen unless one axis alone carries channels."""
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
        return _grid_axes(dep, np.broadcast_to(view, shape).reshape(sizes))
    for axis in axes:
        dep.atoms.freeze(axis)
    return [frozen(size) for size in sizes]


def _grid_axes(dep: DependencyGraph, grid: AtomAxis) -> list[AtomAxis]:
    """Return the atoms along the axes of a grid of atoms: one axis carries them, in whole slices.

    So the heads of an attention are removed as a whole. Of queries, keys and values in one tensor,
    which come before the heads, none can be removed.
    """
    varying = [i for i in range(grid.ndim) if (grid != grid.take([0], axis=i)).any()]
    if not varying:
        varying = [int(np.argmax(grid.shape))]
    packed = len(varying) > 2 and grid.shape[varying[0]] in _PACKED
    carrier = varying[1 if packed else 0]
    slices = np.moveaxis(grid, carrier, 0).reshape(grid.shape[carrier], -1)
    for other in slices.T[1:]:
        dep.atoms.union(slices[:, 0], other)
    return [slices[:, 0] if i == carrier else frozen(n) for i, n in enumerate(grid.shape)]


def resize(dep: DependencyGraph, node: NodeProto) -> None:
    """Freeze the axes whose length changes; the others pass through."""
    x = dep.axes_of(node.input[0])
    shape = dep.shape(node.output[0])
    for axis, size in zip(x, shape, strict=True):
        if axis.size != size:
            dep.atoms.freeze(axis)
    dep.axes[node.output[0]] = [
        axis if axis.size == size else frozen(size) for axis, size in zip(x, shape, strict=True)
    ]
