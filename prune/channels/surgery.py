"""Channels removed from an ONNX model: weights are sliced, constants that hold sizes updated."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, numpy_helper

from ...core.graphs.graph import attributes, drop_unread, free_name, set_attribute
from ...core.graphs.inference import with_shapes
from ...core.types import Array
from .blocks import remove_blocks
from .dependency_graph import DependencyGraph
from .layout_rules import slice_runs


def remove_channels(
    dependency: DependencyGraph, removed: Array, source: ModelProto | None = None
) -> ModelProto:
    """Return a smaller copy of the model; ``removed`` is a boolean mask over the roots of atoms.

    ``source`` is a model of the same structure with other weights to cut instead. Weights are
    sliced along every axis that loses channels; ``group`` of depthwise convolutions and the sizes
    in Reshape, Expand, Tile, Split and Resize follow. A block whose root is in the mask is removed
    whole. Raises ValueError when a tensor would lose all its channels.
    """
    model = without_shapes(dependency, removed, source)
    return with_shapes(model)


def without_shapes(
    dependency: DependencyGraph, removed: Array, source: ModelProto | None = None
) -> ModelProto:
    """Return what remove_channels does, but without the shapes of inner tensors: enough to run it.

    ``source`` may also be a part of the model.
    """
    model = ModelProto()
    model.CopyFrom(source or dependency.graph.model)
    _slice_weights(model, dependency, removed)
    for node in model.graph.node:
        if node.op_type in _FIXES:
            _FIXES[node.op_type](model, dependency, removed, node)
    remove_blocks(model, dependency.removed_blocks(removed))
    drop_unread(model)
    del model.graph.value_info[:]
    return model


def _slice_weights(model: ModelProto, dependency: DependencyGraph, removed: Array) -> None:
    for tensor in model.graph.initializer:
        masks = dependency.masks(tensor.name, removed)
        if all(mask.all() for mask in masks):
            continue
        if not all(mask.any() for mask in masks):
            raise ValueError(f"all channels of {tensor.name} would be removed")
        value = numpy_helper.to_array(tensor)[np.ix_(*masks)]
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), tensor.name))


def _new_shape(dependency: DependencyGraph, removed: Array, name: str) -> list[int]:
    return [int(mask.sum()) for mask in dependency.masks(name, removed)]


def _fix_conv(model: ModelProto, dep: DependencyGraph, removed: Array, node: NodeProto) -> None:
    before = dep.shape(node.input[0])[1]
    if attributes(node).get("group", 1) == before > 1:  # other groups only become narrower
        set_attribute(node, "group", _new_shape(dep, removed, node.input[0])[1])


def _fix_reshape(model: ModelProto, dep: DependencyGraph, removed: Array, node: NodeProto) -> None:
    shape = _new_shape(dep, removed, node.output[0])
    if shape != list(dep.shape(node.output[0])):
        _replace_constant(model, node, 1, np.array(shape, dtype=np.int64))


def _fix_tile(model: ModelProto, dep: DependencyGraph, removed: Array, node: NodeProto) -> None:
    x, out = (_new_shape(dep, removed, name) for name in (node.input[0], node.output[0]))
    if out != list(dep.shape(node.output[0])):
        repeats = [after // before for before, after in zip(x, out, strict=True)]
        _replace_constant(model, node, 1, np.array(repeats, dtype=np.int64))


def _fix_split(model: ModelProto, dep: DependencyGraph, removed: Array, node: NodeProto) -> None:
    at = attributes(node).get("axis", 0) % len(dep.shape(node.input[0]))
    sizes = [_new_shape(dep, removed, name)[at] for name in node.output]
    if sizes == [dep.shape(name)[at] for name in node.output]:
        return
    if any(attribute.name == "split" for attribute in node.attribute):
        set_attribute(node, "split", sizes)  # before opset 13
        return
    others = [attribute for attribute in node.attribute if attribute.name != "num_outputs"]
    del node.attribute[:]
    node.attribute.extend(others)
    _replace_constant(model, node, 1, np.array(sizes, dtype=np.int64))


def _fix_slice(model: ModelProto, dep: DependencyGraph, removed: Array, node: NodeProto) -> None:
    runs = slice_runs(dep, node)
    if runs is None:
        return
    masks = dep.masks(node.input[0], removed)
    if all(masks[at].all() for at in runs):
        return
    edges = {at: [int(masks[at][:edge].sum()) for edge in run] for at, run in runs.items()}
    starts, ends = zip(*edges.values(), strict=True)
    del node.input[4:]  # steps of one, which may be of another type
    for position, values in ((1, starts), (2, ends), (3, tuple(edges))):
        _replace_constant(model, node, position, np.array(values, dtype=np.int64))


def _fix_resize(model: ModelProto, dep: DependencyGraph, removed: Array, node: NodeProto) -> None:
    old, new = dep.shape(node.output[0]), _new_shape(dep, removed, node.output[0])
    if len(node.input) > 3 and node.input[3] and new != list(old):
        axes = attributes(node).get("axes", range(len(old)))  # opset 18 may name but some axes
        _replace_constant(model, node, 3, np.array([new[axis] for axis in axes], dtype=np.int64))


def _replace_constant(model: ModelProto, node: NodeProto, position: int, value: Array) -> None:
    """Give the node a constant of its own: other nodes may share the old one."""
    taken = {tensor.name for tensor in model.graph.initializer}
    name = free_name(f"{node.output[0]}.pruned_size{position}", taken)
    model.graph.initializer.append(numpy_helper.from_array(value, name))
    while len(node.input) <= position:
        node.input.append("")
    node.input[position] = name


_FIXES = {
    "Conv": _fix_conv,
    "ConvTranspose": _fix_conv,
    "Expand": _fix_reshape,
    "Reshape": _fix_reshape,
    "Slice": _fix_slice,
    "Split": _fix_split,
    "Resize": _fix_resize,
    "Tile": _fix_tile,
}
