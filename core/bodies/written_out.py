"""Nodes of a model replaced by what they compute: by a body of ours, or the one that ONNX gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
from onnx import FunctionProto, ModelProto, NodeProto, TypeProto, helper

from ..graphs.current_form import inlined_functions
from ..graphs.graph import nodes_in
from ..graphs.model_checks import ONNX_RUNTIMES
from .body_builder import BodyBuilder, TensorFacts, facts_of
from .contributed_bodies import CONTRIBUTED_BODIES
from .standard_bodies import STANDARD_BODIES

_DOMAIN = "rockpress.bodies"  # of bodies on their way into a graph
_ROUNDS = 3  # what a body holds, and what has a type only then, may have to be written out too


def written_out(
    model: ModelProto, is_known: Callable[[NodeProto, TensorFacts], bool]
) -> ModelProto:
    """Return the model with standard operators that are not known written out in those that are.

    So are operators that ONNX Runtime's optimiser makes of several. Results stay, up to rounding. A
    node whose body is not known stays as it is. The model that is given may be changed.
    """
    for _ in range(_ROUNDS):
        facts = facts_of(model)
        if not any([_called(model, node, facts, is_known) for node in nodes_in(model.graph)]):
            break
        model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
        model = inlined_functions(model)
    return model


def _called(
    model: ModelProto,
    node: NodeProto,
    facts: TensorFacts,
    is_known: Callable[[NodeProto, TensorFacts], bool],
) -> bool:
    """Turn a node into a call of its body, which is added to the model; whether it has one."""
    if node.domain not in ("", ONNX_RUNTIMES) or (not node.domain and is_known(node, facts)):
        return False
    body = _body_of(node, facts)
    if body is None:
        return False
    body.domain, body.name = _DOMAIN, f"{node.op_type}_{len(model.functions)}"
    model.functions.append(body)
    node.domain, node.op_type = body.domain, body.name
    return True


def _body_of(node: NodeProto, facts: TensorFacts) -> FunctionProto | None:
    rules = CONTRIBUTED_BODIES if node.domain else STANDARD_BODIES
    if (rule := rules.get(node.op_type)) is not None:
        body = BodyBuilder(node, facts)
        outputs = rule(body)
        return None if outputs is None else body.function(outputs)
    return None if node.domain else _standard_body(node, facts)


def _standard_body(node: NodeProto, facts: TensorFacts) -> FunctionProto | None:
    """What ONNX says that an operator computes, where that depends on the node."""
    if not onnx.defs.has(node.op_type, facts.opset, ""):
        return None
    schema: Any = onnx.defs.get_schema(node.op_type, facts.opset, "")
    if not schema.has_context_dependent_function:
        return None
    kinds = [_type_of(name, facts).SerializeToString() for name in node.input]
    version = max(schema.context_dependent_function_opset_versions)
    text = schema.get_context_dependent_function_with_opset_version(
        version, node.SerializeToString(), kinds
    )
    body = FunctionProto.FromString(text)
    del body.opset_import[:]
    # no body holds an operator that means something else since the opset it was written for
    body.opset_import.append(helper.make_opsetid("", facts.opset))
    return body if body.node else None


def _type_of(name: str, facts: TensorFacts) -> TypeProto:
    shape = facts.shapes.get(name)
    return helper.make_tensor_type_proto(facts.types.get(name, 0), shape)
