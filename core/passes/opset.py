"""Models of any opset brought to one that all stages and the toolkit know: 13 to 19.

Newer operators are written out in older ones. Most newer versions of older operators only take
more types, so that their nodes are those of the older version already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper
from onnx.defs import OpSchema

from ..bodies.body_builder import TensorFacts, facts_of
from ..bodies.written_out import written_out
from ..graphs.graph import attributes, graphs_in, nodes_in, opset_of, read_by, set_attribute
from ..graphs.model import is_qdq
from .opset_conversion import converted

_FIRST_PER_CHANNEL = 13  # scales of quantizers
LAST_KNOWN = 19  # of rknn-toolkit2 2.3 and 2.5
# the newer one computes something else from the same inputs and attributes
_CHANGED = {"DFT", "GroupNormalization"}
_GRID_MODES = {"linear": "bilinear", "cubic": "bicubic"}  # as the older GridSample calls them


def readable_opset(model: ModelProto) -> ModelProto:
    """Return the model for opset 13, the first with scales per channel, to 19, the toolkit's last.

    What ONNX Runtime's optimiser has joined is taken apart. A model that ONNX cannot convert keeps
    its opset, so that it can still be pruned and quantized, and one that is quantized already is
    not raised. The inputs must have fixed shapes, and the model that is given may be changed.
    """
    opset = opset_of(model)
    if opset > LAST_KNOWN:
        _respell(model)
    _drop_unread_moments(model)
    if opset > LAST_KNOWN or not all(
        _exists(node, opset) and not _gives_moments(node) for node in nodes_in(model.graph)
    ):
        model = written_out(model, _fits)
    if opset_of(model) < _FIRST_PER_CHANNEL and not is_qdq(model):
        return converted(model, _FIRST_PER_CHANNEL)
    if opset_of(model) <= LAST_KNOWN:
        return model
    facts = facts_of(model)
    transforms = [node for node in nodes_in(model.graph) if _is_older_dft(node, facts)]
    if any(node not in transforms for node in misfits(model)):
        return converted(model, LAST_KNOWN)
    for node in transforms:
        _name_axis(node, facts)
    next(own for own in model.opset_import if not own.domain).version = LAST_KNOWN
    return model


def misfits(model: ModelProto) -> Iterator[NodeProto]:
    """Yield the nodes that opset 19 does not have, or not in that form."""
    facts = facts_of(model)
    for node in nodes_in(model.graph):
        if not node.domain and not _fits(node, facts):
            yield node


def _fits(node: NodeProto, facts: TensorFacts) -> bool:
    """Whether a node means at opset 19 what it means at its own."""
    if _gives_moments(node):
        return False
    if facts.opset <= LAST_KNOWN or not _exists(node, facts.opset):
        return _exists(node, facts.opset)
    older = onnx.defs.get_schema(node.op_type, LAST_KNOWN, "")
    newer = onnx.defs.get_schema(node.op_type, facts.opset, "")
    return older.since_version == newer.since_version or (
        node.op_type not in _CHANGED
        and len(node.input) <= older.max_input
        and len(node.output) <= older.max_output
        and all(attribute.name in older.attributes for attribute in node.attribute)
        and _takes(older.inputs, node.input, facts)
        and _takes(older.outputs, node.output, facts)
    )


def _gives_moments(node: NodeProto) -> bool:
    """Whether a normalization gives its mean or deviation too, which no compiler knows."""
    return node.op_type == "LayerNormalization" and any(node.output[1:])


def _drop_unread_moments(model: ModelProto) -> None:
    moments = [node for node in nodes_in(model.graph) if _gives_moments(node)]
    read = {name for node in nodes_in(model.graph) for name in read_by(node)}
    read |= {value.name for graph in graphs_in(model.graph) for value in graph.output}
    for node in moments:
        node.output[1:] = [name if name in read else "" for name in node.output[1:]]
        if not any(node.output[1:]):
            del node.output[1:]


def _is_older_dft(node: NodeProto, facts: TensorFacts) -> bool:
    """Whether a DFT is one of opset 17: its axis, an input since opset 20, is a constant."""
    if node.op_type != "DFT" or node.domain or node.input[0] not in facts.shapes:
        return False
    settings = attributes(node)
    is_real_inverse = settings.get("inverse") and settings.get("onesided")  # new as well
    return not is_real_inverse and (len(node.input) < 3 or node.input[2] in facts.constants)


def _name_axis(node: NodeProto, facts: TensorFacts) -> None:
    axis = -2  # by default
    if len(node.input) > 2:
        axis = int(numpy_helper.to_array(facts.constants[node.input[2]]).item())
        del node.input[2:]
    set_attribute(node, "axis", axis % len(facts.shapes[node.input[0]]))


def _exists(node: NodeProto, opset: int) -> bool:
    """Whether a node is standard in its own opset and in 19, and not deprecated there."""
    both = (opset, LAST_KNOWN)
    if node.domain or not all(onnx.defs.has(node.op_type, version, "") for version in both):
        return False
    return not onnx.defs.get_schema(node.op_type, LAST_KNOWN, "").deprecated


def _takes(
    formal: Sequence[OpSchema.FormalParameter], names: Sequence[str], facts: TensorFacts
) -> bool:
    """Whether tensors have types that an operator takes, as far as they are known."""
    for position, name in enumerate(names):
        if kind := facts.types.get(name):
            element = TensorProto.DataType.Name(kind).lower()
            if f"tensor({element})" not in formal[min(position, len(formal) - 1)].types:
                return False
    return True


def _respell(model: ModelProto) -> None:
    """Give nodes the words that older versions of their operators have for the same."""
    opset = opset_of(model)
    for node in nodes_in(model.graph):
        if not _exists(node, opset):
            continue
        mode = attributes(node).get("mode", "linear")
        if node.op_type == "GridSample" and mode in _GRID_MODES:
            set_attribute(node, "mode", _GRID_MODES[mode])
        older = onnx.defs.get_schema(node.op_type, LAST_KNOWN, "").attributes
        newer = onnx.defs.get_schema(node.op_type, opset, "").attributes
        news = [own for own in node.attribute if own.name not in older]
        for attribute in news:
            if attribute == newer[attribute.name].default_value:
                node.attribute.remove(attribute)
