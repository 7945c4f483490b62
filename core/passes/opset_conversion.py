"""ONNX's own version converter, and what it leaves out."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
import onnx.version_converter
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from ..bodies.body_builder import facts_of
from ..graphs.constants import named_constants
from ..graphs.graph import attributes, opset_of, refill, set_attribute

_FIRST_BROADCAST = 7
_FIRST_RESIZE = 10
_ERRORS = (RuntimeError, IndexError, onnx.version_converter.ConvertError)


def converted(model: ModelProto, version: int) -> ModelProto:
    """Return the model as ONNX converts it, or as it is where that cannot; it may be changed.

    Where the converter would change results, they stay: of what resizes, and of what broadcasts.
    """
    _broadcast_as_numpy(model)
    constants = dict(named_constants(model))
    resizes = {node.output[0]: _old_rounding(node, constants) for node in _old_resizes(model)}
    try:
        converted = onnx.version_converter.convert_version(model, version)
    except _ERRORS:
        return model
    del converted.graph.value_info[:]  # some have no type
    for node in converted.graph.node:
        if node.output[0] in resizes:
            # the converter leaves them at today's defaults, which take other pixels
            set_attribute(node, "coordinate_transformation_mode", "asymmetric")
            set_attribute(node, "nearest_mode", resizes[node.output[0]])
    return converted


def _old_resizes(model: ModelProto) -> list[NodeProto]:
    """The nodes that resize from a pixel's corner, as all did before opset 11."""
    old = {"Upsample", "Resize"} if opset_of(model) == _FIRST_RESIZE else {"Upsample"}
    return [node for node in model.graph.node if not node.domain and node.op_type in old]


def _old_rounding(node: NodeProto, constants: Mapping[str, TensorProto]) -> str:
    """Which pixel was the nearest for ONNX Runtime: the one before, or behind if smaller."""
    scales = attributes(node).get("scales")
    if scales is None and node.input[-1] in constants:
        scales = numpy_helper.to_array(constants[node.input[-1]]).tolist()
    return "ceil" if min(scales or [1.0]) < 1 else "floor"


def _broadcast_as_numpy(model: ModelProto) -> None:
    """Give constant operands the axes of 1 behind theirs that from opset 7 on have to be there.

    Before, an attribute said which axis they begin at, and the slopes of a PRelu at the channels.
    """
    if opset_of(model) >= _FIRST_BROADCAST:
        return
    facts = facts_of(model)
    for node in model.graph.node:
        settings = attributes(node)
        axis = 1 if node.op_type == "PRelu" else settings.get("axis")
        if axis is None or not (settings.get("broadcast") or node.op_type == "PRelu"):
            continue
        operand = facts.constants.get(node.input[1])
        behind = len(facts.shapes.get(node.input[0], ())) - axis
        if operand is not None and operand.dims:
            operand.dims.extend([1] * (behind - len(operand.dims)))
            refill(node.attribute, [own for own in node.attribute if own.name != "axis"])
