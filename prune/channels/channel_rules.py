"""One rule for each ONNX operator: which channels belong together; and the graph that they make."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import NodeProto

from ...core.errors import ModelError
from ...core.graphs.graph import Graph, attributes, constant_value
from .blocks import find_blocks
from .dependency_graph import AtomAxis, DependencyGraph, frozen
from .einsum_rule import einsum
from .layout_rules import concat, depth_to_space, gather, reshape, resize, slice_, split, transpose
from .spread_rules import expand, tile

Rule = Callable[[DependencyGraph, NodeProto], None]


def _conv(dep: DependencyGraph, node: NodeProto) -> None:
    """Unite inputs with weight axis 1, outputs with axis 0; for depthwise, both with axis 0.

    With several inputs a group, every group loses the same channels: they stay equally wide.
    """
    x, weight = dep.axes_of(node.input[0]), dep.axes_of(node.input[1])
    groups = attributes(node).get("group", 1)
    if groups == 1:
        dep.atoms.union(weight[1], x[1])
    elif weight[1].size == 1:
        dep.atoms.union(weight[0], np.repeat(x[1], weight[0].size // groups))
    else:
        for inputs, outputs in zip(
            np.split(x[1], groups), np.split(weight[0], groups), strict=True
        ):
            dep.atoms.union(weight[1], inputs)
            dep.atoms.union(weight[0][: outputs.size], outputs)
    _finish_conv(dep, node, weight[0])


def _conv_transpose(dep: DependencyGraph, node: NodeProto) -> None:
    """Unite inputs with weight axis 0, outputs with axis 1."""
    x, weight = dep.axes_of(node.input[0]), dep.axes_of(node.input[1])
    dep.atoms.union(weight[0], x[1])
    groups = attributes(node).get("group", 1)
    if groups == 1:
        _finish_conv(dep, node, weight[1])
    elif weight[1].size == 1 and groups == weight[0].size:
        _finish_conv(dep, node, weight[0])
    else:
        for axis in weight[:2]:
            dep.atoms.freeze(axis)
        _finish_conv(dep, node, frozen(dep.shape(node.output[0])[1]))


def _finish_conv(dep: DependencyGraph, node: NodeProto, channels: AtomAxis) -> None:
    for axis in [*dep.axes_of(node.input[0])[2:], *dep.axes_of(node.input[1])[2:]]:
        dep.atoms.freeze(axis)
    if len(node.input) > 2 and node.input[2]:
        dep.atoms.union(dep.axes_of(node.input[2])[0], channels)
    spatial = [frozen(size) for size in dep.shape(node.output[0])[2:]]
    dep.axes[node.output[0]] = [dep.axes_of(node.input[0])[0], channels, *spatial]


def _gemm(dep: DependencyGraph, node: NodeProto) -> None:
    settings = attributes(node)
    if settings.get("transA") or not dep.graph.is_weight(node.input[1]):
        dep.freeze_node(node)
        return
    x, weight = dep.axes_of(node.input[0]), dep.axes_of(node.input[1])
    into, out = (1, 0) if settings.get("transB") else (0, 1)
    dep.atoms.union(weight[into], x[1])
    if len(node.input) > 2 and node.input[2]:
        _unite_broadcast(dep, dep.axes_of(node.input[2]), [x[0], weight[out]])
    dep.axes[node.output[0]] = [x[0], weight[out]]


def _matmul(dep: DependencyGraph, node: NodeProto) -> None:
    """Unite the axes that are summed over, and the batches; of weights or of two activations."""
    x, y = dep.axes_of(node.input[0]), dep.axes_of(node.input[1])
    if min(len(x), len(y)) < 2:
        dep.freeze_node(node)
        return
    dep.atoms.union(y[-2], x[-1])
    batch = [frozen(1) for _ in range(len(dep.shape(node.output[0])) - 2)]
    for axes in (x[:-2], y[:-2]):
        batch = _unite_broadcast(dep, axes, batch)
    dep.axes[node.output[0]] = [*batch, x[-2], y[-1]]


def _norm(dep: DependencyGraph, node: NodeProto) -> None:
    x = dep.axes_of(node.input[0])
    for axis in x[2:]:
        dep.atoms.freeze(axis)  # InstanceNormalization takes its mean and variance along them
    for name in node.input[1:5]:
        dep.atoms.union(dep.axes_of(name)[0], x[1])
    dep.axes[node.output[0]] = x


def _unary(dep: DependencyGraph, node: NodeProto) -> None:
    dep.axes[node.output[0]] = dep.axes_of(node.input[0])


def _elementwise(dep: DependencyGraph, node: NodeProto) -> None:
    """Unite the aligned axes of a broadcasting operator; those that are broadcast stay whole."""
    rank = len(dep.shape(node.output[0]))
    out = [frozen(1) for _ in range(rank)]
    for name in filter(None, node.input):
        out = _unite_broadcast(dep, dep.axes_of(name), out)
    dep.axes[node.output[0]] = out


def _unite_broadcast(
    dep: DependencyGraph, axes: list[AtomAxis], target: list[AtomAxis]
) -> list[AtomAxis]:
    """Unite ``axes`` with the trailing axes of ``target``; return the broadcast axes."""
    out = list(target)
    for back in range(1, min(len(axes), len(target)) + 1):
        mine, theirs = axes[-back], out[-back]
        if mine.size == theirs.size:
            dep.atoms.union(mine, theirs)
        elif mine.size == 1:
            dep.atoms.freeze(mine)
        else:
            dep.atoms.freeze(theirs)
            out[-back] = mine
    return out


def _pool(dep: DependencyGraph, node: NodeProto) -> None:
    x = dep.axes_of(node.input[0])
    for axis in x[2:]:
        dep.atoms.freeze(axis)
    spatial = [frozen(size) for size in dep.shape(node.output[0])[2:]]
    dep.axes[node.output[0]] = [x[0], x[1], *spatial]


def _reduce(dep: DependencyGraph, node: NodeProto) -> None:
    if len(node.input) > 1 and constant_value(dep.graph, node, 1) is None:
        dep.freeze_node(node)
        return
    x = dep.axes_of(node.input[0])
    reduced = _reduced_axes(dep, node, len(x))
    for position in reduced:
        dep.atoms.freeze(x[position])  # a mean over fewer channels is another mean
    if attributes(node).get("keepdims", 1):
        out = [frozen(1) if i in reduced else axis for i, axis in enumerate(x)]
    else:
        out = [axis for i, axis in enumerate(x) if i not in reduced]
    dep.axes[node.output[0]] = out


def _reduced_axes(dep: DependencyGraph, node: NodeProto, rank: int) -> set[int]:
    constant = constant_value(dep.graph, node, 1)
    axes = attributes(node).get("axes") if constant is None else constant.tolist()
    return {axis % rank for axis in axes} if axes else set(range(rank))


def _softmax(dep: DependencyGraph, node: NodeProto) -> None:
    x = dep.axes_of(node.input[0])
    dep.atoms.freeze(x[attributes(node).get("axis", -1) % len(x)])
    dep.axes[node.output[0]] = x


def _layer_norm(dep: DependencyGraph, node: NodeProto) -> None:
    """Freeze the normalised axes: their mean and variance must not change."""
    x = dep.axes_of(node.input[0])
    for axis in x[attributes(node).get("axis", -1) % len(x) :]:
        dep.atoms.freeze(axis)
    for name in filter(None, node.input[1:]):
        dep.freeze_tensor(name)
    dep.axes[node.output[0]] = x


def _grid_sample(dep: DependencyGraph, node: NodeProto) -> None:
    """Pass channels through; the grid says where to read each of them, so it stays whole."""
    dep.freeze_tensor(node.input[1])
    _pool(dep, node)


def _constant(dep: DependencyGraph, node: NodeProto) -> None:
    dep.freeze_output(node.output[0])


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
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), reshape),
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
    "Constant": _constant,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
    **dict.fromkeys(("BatchNormalization", "InstanceNormalization"), _norm),
    **dict.fromkeys(("Pad", "Resize", "Upsample"), resize),
    "LayerNormalization": _layer_norm,
    "GridSample": _grid_sample,
    "Expand": expand,
    "Tile": tile,
    "Einsum": einsum,
    "Concat": concat,
    "Split": split,
    "Slice": slice_,
    "Gather": gather,
    "DepthToSpace": depth_to_space,
    "Transpose": transpose,
}


def build_dependency_graph(graph: Graph) -> DependencyGraph:
    """Return the dependency graph of a model, whose inputs and outputs are frozen."""
    dependency = DependencyGraph(graph)
    for name in graph.input_names:
        dependency.freeze_output(name)
    for node in graph.nodes:
        rule = RULES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        if rule is None or not _is_plain(dependency, node):
            dependency.freeze_node(node)
        else:
            _apply(rule, dependency, node)
    for name in graph.output_names:
        dependency.freeze_tensor(name)
    for block in find_blocks(graph):
        dependency.blocks[int(dependency.atoms.make(1)[0])] = block
    return dependency


def _apply(rule: Rule, dependency: DependencyGraph, node: NodeProto) -> None:
    """Raises ModelError for a node whose inputs and outputs do not fit each other."""
    try:
        rule(dependency, node)
    except (ValueError, IndexError) as error:  # of lengths that differ
        raise ModelError(
            f"the shapes around node {node.name or node.output[0]!r} ({node.op_type}) do not fit "
            "each other",
            "export the model again",
        ) from error


def _is_plain(dependency: DependencyGraph, node: NodeProto) -> bool:
    """Return whether all shapes are known and, but for Split, there is only one output."""
    shapes = dependency.graph.shapes
    outputs = [name for name in node.output if name]
    has_shapes = all(name in shapes for name in [*filter(None, node.input), *outputs])
    empty = any(0 in shapes.get(name, ()) for name in [*node.input[:1], *outputs])
    return has_shapes and not empty and (len(outputs) == 1 or node.op_type == "Split")
