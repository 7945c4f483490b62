"""2:4 sparsity: of every four neighbours along the channels of a weight, two or more are zero.

Along which axis of a layer's weight the four lie is its output or its input: each tap of the kernel
is looked at on its own.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from onnx import NodeProto

from ..types import Array
from .graph import attributes, output_axis

KEPT, OF = 2, 4
PATTERN = f"{KEPT}:{OF}"

Axis = Literal["output", "input"]

_OPS = ("Conv", "Gemm", "MatMul")


def axis_of(node: NodeProto, axis: Axis) -> int:
    """Return which axis of the weight of a Conv, Gemm or MatMul holds the channels of a side."""
    first = output_axis(node)
    return first if axis == "output" else 1 - first


def may_be_sparse(node: NodeProto) -> bool:
    """Return whether a layer is a plain matrix product: no groups, no transposed convolution."""
    return node.op_type in _OPS and attributes(node).get("group", 1) == 1


def fours(weight: Array, axis: int) -> Array:
    """Return a view (..., channels / 4, 4) of a weight whose ``axis`` is a multiple of 4 long."""
    last = np.moveaxis(weight, axis, -1)
    return last.reshape(*last.shape[:-1], -1, OF)


def is_sparse(weight: Array, axis: int) -> bool:
    """Return whether no four neighbours along an axis have more than two values other than zero.

    >>> is_sparse(np.array([[1, 0, 0, 2], [0, 0, 0, 3]]), 1)
    True
    >>> is_sparse(np.array([[1, 4, 0, 2], [0, 0, 0, 3]]), 1)
    False
    """
    if weight.shape[axis] % OF or not weight.size:
        return False
    return bool((np.count_nonzero(fours(weight, axis), axis=-1) <= KEPT).all())


def sparse_axis(node: NodeProto, weight: Array) -> Axis | None:
    """Return the axis along which a layer's weight is 2:4 sparse; None for neither, or all zero."""
    if not may_be_sparse(node) or weight.ndim < 2 or not weight.any():
        return None
    axes: tuple[Axis, ...] = ("input", "output")
    return next((axis for axis in axes if is_sparse(weight, axis_of(node, axis))), None)
