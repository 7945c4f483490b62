"""Operators that no way of building gets past: told at once, with the node, in one error."""

from __future__ import annotations

from onnx import ModelProto, NodeProto, TensorProto

from ...core.diagnostics import option
from ...core.errors import ModelError
from ...core.graphs.graph import attributes, opset_of
from ...core.graphs.model_checks import ONNX_RUNTIMES
from ...core.passes.fold_if import deciding_inputs
from ...core.passes.opset import LAST_KNOWN, misfits

# rknn-toolkit2 2.5.0 refuses each as a dynamic graph, or as an operator that it has not
_DYNAMIC = {"If", "Loop"}
_SEQUENCES = {
    *("SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert"),
    *("SequenceLength", "SequenceMap", "SplitToSequence", "ConcatFromSequence"),
    *("Optional", "OptionalGetElement", "OptionalHasElement"),
}
_FLOAT8 = {
    *(TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E4M3FNUZ),
    *(TensorProto.FLOAT8E5M2, TensorProto.FLOAT8E5M2FNUZ),
}
_QUANTIZERS = {"QuantizeLinear", "DequantizeLinear"}  # of 16 bits: refused elsewhere


def require_buildable(model: ModelProto) -> None:
    """Raise ModelError for the first node of a prepared model that the toolkit cannot build."""
    if not model.graph.node:
        raise ModelError(
            "no output of the model depends on an input: all of them are constants",
            f"name other tensors with {option('outputs')}, or export the model again",
        )
    decided_by = deciding_inputs(model)
    for node in model.graph.node:
        if reason := _reason(node):
            why, hint = reason
            if names := decided_by.get(node.name or node.output[0]):
                hint = f"fix that value with {option('constant', {names[0]: 1})}"
                why = f"what runs depends on the value of the input {names[0]!r}"
            raise _refusal(node, why, hint)
    if opset_of(model) > LAST_KNOWN and (node := next(misfits(model), None)):
        why = f"opset {LAST_KNOWN}, the last that rknn-toolkit2 reads, has nothing like it"
        raise _refusal(node, why, f"replace it, or export the model with opset {LAST_KNOWN}")


def _reason(node: NodeProto) -> tuple[str, str] | None:
    """Why the toolkit cannot build a node, and what to do beside a cut before it."""
    if node.domain == ONNX_RUNTIMES and node.op_type not in _QUANTIZERS:
        return "it is ONNX Runtime's own", "give the model before ONNX Runtime optimised it"
    if node.domain not in ("", ONNX_RUNTIMES):
        return f"operators of {node.domain} run on no NPU", "compute it on the CPU"
    if node.op_type in _DYNAMIC:
        why = "what runs depends on values that only a run knows"
        return why, "export the model without it"
    if node.op_type == "Scan":
        return "rknn-toolkit2 builds no graph inside a node", "export the model with it unrolled"
    if node.op_type == "Cast" and attributes(node)["to"] in _FLOAT8:
        return "rknn-toolkit2 has no float8", "export the model in float32"
    if node.op_type in _SEQUENCES:
        return "rknn-toolkit2 has no sequences", "export the model with tensors alone"
    return None


def _refusal(node: NodeProto, why: str, hint: str) -> ModelError:
    operator = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
    return ModelError(
        f"node {node.name or node.output[0]!r} ({operator}) cannot be converted: {why}",
        f"{hint}, or end the model before it with {option('outputs')}",
    )
