"""What each ONNX operator says about which channels belong together."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from onnx import NodeProto

from ..core.graph import Shape, attributes, constant_value
from .atoms import FROZEN, Axis, frozen
from .dependency import Dependency

Rule = Callable[[Dependency, NodeProto], None]


def _conv(dep: Dependency, node: NodeProto) -> None:
    """Dense: inputs meet weight axis 1, outputs are axis 0. Depthwise: both are axis 0."""
    x, weight = dep.of(node.input[0]), dep.of(node.input[1])
    groups = attributes(node).get("group", 1)
    if groups == 1:
        dep.atoms.unite(weight[1], x[1])
    elif weight[1].size == 1:
        dep.atoms.unite(weight[0], np.repeat(x[1], weight[0].size // groups))
    else:  # several inputs a group: removing one channel would unbalance the groups
        dep.atoms.freeze(x[1])
        dep.atoms.freeze(weight[0])
    _finish_conv(dep, node, weight[0])


def _conv_transpose(dep: Dependency, node: NodeProto) -> None:
    """Dense: inputs meet weight axis 0, outputs are axis 1."""
    x, weight = dep.of(node.input[0]), dep.of(node.input[1])
    dep.atoms.unite(weight[0], x[1])
    if attributes(node).get("group", 1) == 1:
        _finish_conv(dep, node, weight[1])
    elif weight[1].size == 1:
        _finish_conv(dep, node, weight[0])
    else:
        dep.atoms.freeze(x[1])
        _finish_conv(dep, node, frozen(dep.shape(node.output[0])[1]))


def _finish_conv(dep: Dependency, node: NodeProto, channels: Axis) -> None:
    for kernel_axis in dep.of(node.input[1])[2:]:
        dep.atoms.freeze(kernel_axis)
    if len(node.input) > 2 and node.input[2]:
        dep.atoms.unite(dep.of(node.input[2])[0], channels)
    spatial = [frozen(size) for size in dep.shape(node.output[0])[2:]]
    dep.forward(node.output[0], [dep.of(node.input[0])[0], channels, *spatial])


def _gemm(dep: Dependency, node: NodeProto) -> None:
    settings = attributes(node)
    if settings.get("transA") or not dep.graph.is_weight(node.input[1]):
        _freeze(dep, node)
        return
    x, weight = dep.of(node.input[0]), dep.of(node.input[1])
    into, out = (1, 0) if settings.get("transB") else (0, 1)
    dep.atoms.unite(weight[into], x[1])
    if len(node.input) > 2 and node.input[2]:
        _unite_broadcast(dep, dep.of(node.input[2]), [x[0], weight[out]])
    dep.forward(node.output[0], [x[0], weight[out]])


def _matmul(dep: Dependency, node: NodeProto) -> None:
    if not dep.graph.is_weight(node.input[1]) or len(dep.shape(node.input[1])) != 2:
        _freeze(dep, node)
        return
    x, weight = dep.of(node.input[0]), dep.of(node.input[1])
    dep.atoms.unite(weight[0], x[-1])
    dep.forward(node.output[0], [*x[:-1], weight[1]])


def _norm(dep: Dependency, node: NodeProto) -> None:
    x = dep.of(node.input[0])
    for name in node.input[1:5]:
        dep.atoms.unite(dep.of(name)[0], x[1])
    dep.forward(node.output[0], x)


def _unary(dep: Dependency, node: NodeProto) -> None:
    dep.forward(node.output[0], dep.of(node.input[0]))


def _elementwise(dep: Dependency, node: NodeProto) -> None:
    """Broadcasting operators: aligned axes belong together, broadcast ones stay whole."""
    rank = len(dep.shape(node.output[0]))
    out = [frozen(1) for _ in range(rank)]
    for name in filter(None, node.input):
        out = _unite_broadcast(dep, dep.of(name), out)
    dep.forward(node.output[0], out)


def _unite_broadcast(dep: Dependency, axes: list[Axis], target: list[Axis]) -> list[Axis]:
    """Unite ``axes`` with the trailing axes of ``target``; return the broadcast axes."""
    out = list(target)
    for back in range(1, min(len(axes), len(target)) + 1):
        mine, theirs = axes[-back], out[-back]
        if mine.size == theirs.size:
            dep.atoms.unite(mine, theirs)
        elif mine.size == 1:
            dep.atoms.freeze(mine)
        else:
            dep.atoms.freeze(theirs)
            out[-back] = mine
    return out


def _pool(dep: Dependency, node: NodeProto) -> None:
    x = dep.of(node.input[0])
    spatial = [frozen(size) for size in dep.shape(node.output[0])[2:]]
    dep.forward(node.output[0], [x[0], x[1], *spatial])


def _reduce(dep: Dependency, node: NodeProto) -> None:
    x = dep.of(node.input[0])
    reduced = _reduced_axes(dep, node, len(x))
    for position in reduced:
        dep.atoms.freeze(x[position])  # a mean over fewer channels is another mean
    if attributes(node).get("keepdims", 1):
        out = [frozen(1) if i in reduced else axis for i, axis in enumerate(x)]
    else:
        out = [axis for i, axis in enumerate(x) if i not in reduced]
    dep.forward(node.output[0], out)


def _reduced_axes(dep: Dependency, node: NodeProto, rank: int) -> set[int]:
    given = constant_value(dep.graph, node, 1)
    axes = attributes(node).get("axes") if given is None else given.tolist()
    return {axis % rank for axis in axes} if axes else set(range(rank))


def _softmax(dep: Dependency, node: NodeProto) -> None:
    x = dep.of(node.input[0])
    dep.atoms.freeze(x[attributes(node).get("axis", -1) % len(x)])
    dep.forward(node.output[0], x)


def _layer_norm(dep: Dependency, node: NodeProto) -> None:
    """The normalised axes are frozen: their mean and variance must not change."""
    x = dep.of(node.input[0])
    for axis in x[attributes(node).get("axis", -1) % len(x) :]:
        dep.atoms.freeze(axis)
    for name in filter(None, node.input[1:]):
        dep.freeze_tensor(name)
    dep.forward(node.output[0], x)


def _concat(dep: Dependency, node: NodeProto) -> None:
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


def _split(dep: Dependency, node: NodeProto) -> None:
    x = dep.of(node.input[0])
    at = attributes(node).get("axis", 0) % len(x)
    start = 0
    for name in node.output:
        size = dep.shape(name)[at]
        out = list(x)
        out[at] = x[at][start : start + size]
        dep.forward(name, out)
        start += size


def _slice(dep: Dependency, node: NodeProto) -> None:
    """Axes that are cut are frozen; the others pass through."""
    x = dep.of(node.input[0])
    shape = dep.shape(node.output[0])
    out = []
    for axis, size in zip(x, shape, strict=True):
        if axis.size != size:
            dep.atoms.freeze(axis)
        out.append(axis if axis.size == size else frozen(size))
    dep.forward(node.output[0], out)


def _transpose(dep: Dependency, node: NodeProto) -> None:
    x = dep.of(node.input[0])
    order = attributes(node).get("perm") or list(reversed(range(len(x))))
    dep.forward(node.output[0], [x[position] for position in order])


def _reshape(dep: Dependency, node: NodeProto) -> None:
    """Reshape, Flatten, Squeeze and Unsqueeze: match runs of axes of equal product."""
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


def _resized(dep: Dependency, node: NodeProto) -> None:
    """Axes whose length changes are frozen; the others pass through."""
    x = dep.of(node.input[0])
    shape = dep.shape(node.output[0])
    for axis, size in zip(x, shape, strict=True):
        if axis.size != size and axis.size > 1:
            dep.atoms.freeze(axis)
    dep.forward(
        node.output[0],
        [axis if axis.size == size else frozen(size) for axis, size in zip(x, shape, strict=True)],
    )


def _freeze(dep: Dependency, node: NodeProto) -> None:
    """A known operator used in a way that this room cannot prove safe."""
    dep.unknown[node.op_type] = dep.unknown.get(node.op_type, 0) + 1
    for name in filter(None, node.input):
        dep.freeze_tensor(name)
    for name in filter(None, node.output):
        dep.frozen_output(name)


_UNARY = (
    "Relu LeakyRelu Elu Selu Celu ThresholdedRelu Sigmoid HardSigmoid HardSwish Tanh Softplus "
    "Softsign Mish Gelu Erf Exp Log Sqrt Abs Neg Reciprocal Floor Ceil Round Sign Sin Cos "
    "Identity Dropout Cast Clip Not"
).split()
_BROADCAST = "Add Sub Mul Div Pow Min Max Mean Sum PRelu Where Equal Greater Less".split()
_POOLS = "MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool".split()
_REDUCTIONS = (
    "ReduceMean ReduceSum ReduceMax ReduceMin ReduceL1 ReduceL2 ReduceProd "
    "ReduceLogSumExp ReduceSumSquare"
).split()

RULES: dict[str, Rule] = {
    **dict.fromkeys(_UNARY, _unary),
    **dict.fromkeys(_BROADCAST, _elementwise),
    **dict.fromkeys(_POOLS, _pool),
    **dict.fromkeys(_REDUCTIONS, _reduce),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _reshape),
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
    **dict.fromkeys(("BatchNormalization", "InstanceNormalization"), _norm),
    **dict.fromkeys(("Pad", "Resize", "Upsample"), _resized),
    "LayerNormalization": _layer_norm,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Transpose": _transpose,
}
