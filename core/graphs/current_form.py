"""A model of any age and exporter in the one form that all code here reads."""

from __future__ import annotations

import onnx
from onnx import AttributeProto, ModelProto
from onnx.inliner import inline_local_functions

from .graph import all_nodes, fed_inputs, nodes_in, refill

_FIRST_IR_WITH_HIDDEN_WEIGHTS = 4  # before, every initializer had to be an input too
_CURRENT_IR = 8


def in_current_form(model: ModelProto) -> ModelProto:
    """Return the model with functions of its own inlined, and weights no longer among the inputs.

    An IR before 4 is raised, as it asks for those weights there. An IR or an opset that is newer
    than the installed onnx becomes the newest that it knows, as what is new is in operators of
    other names. Results stay the same. Functions for an opset that ONNX cannot convert stay too.
    The model that is given may be changed.
    """
    if model.ir_version < _FIRST_IR_WITH_HIDDEN_WEIGHTS:
        model.ir_version = _CURRENT_IR
    model.ir_version = min(model.ir_version, onnx.IR_VERSION)
    for own in model.opset_import:
        if not own.domain:
            own.version = min(own.version, onnx.defs.onnx_opset_version())
    refill(model.graph.input, fed_inputs(model.graph))
    return inlined_functions(model) if model.functions else model


def inlined_functions(model: ModelProto) -> ModelProto:
    """Return a copy in which every call of a function is what that computes, at any depth.

    The model itself as it is when ONNX cannot bring a function to the opset of the model.
    """
    _spell_out_defaults(model)
    try:
        inlined = inline_local_functions(model, convert_version=True)
    except RuntimeError:  # an operator of the function has no adapter
        return model
    called = {node.domain for node in nodes_in(inlined.graph)} | {""}
    refill(inlined.opset_import, (own for own in inlined.opset_import if own.domain in called))
    return inlined


def _spell_out_defaults(model: ModelProto) -> None:
    """Give every call the attributes that it leaves out: the inliner looks at no defaults."""
    defaults: dict[tuple[str, str, str], list[AttributeProto]] = {
        (function.domain, function.name, function.overload): list(function.attribute_proto)
        for function in model.functions
    }
    for node in all_nodes(model):
        present = {attribute.name for attribute in node.attribute}
        own = defaults.get((node.domain, node.op_type, node.overload), [])
        node.attribute.extend(default for default in own if default.name not in present)
