"""The tensors inside a model that can be looked at from outside."""

from __future__ import annotations

from dataclasses import dataclass

from onnx import ModelProto, TensorProto, numpy_helper

from ...convert.chips.targets import Target
from ...convert.predicted.layer_tensors import layer_tensors
from ...core.graphs.inference import with_shapes
from .inner_outputs import dequantized_tensors


@dataclass(frozen=True)
class InnerTensor:
    """What a layer gives: its name in the float model, and the ``op`` of the layer after fusion.

    ``shown`` is the tensor that has its real values, ``step`` the scale of its integers, None for
    a float. ``is_output`` is whether it is an output of the model.
    """

    name: str
    op: str
    shown: str
    step: float | None
    is_output: bool


def inner_tensors(model: ModelProto, target: Target) -> tuple[InnerTensor, ...]:
    """Return what the layers of a prepared model give as real numbers, in the graph's order.

    An output that no layer writes, as it is one in another shape, comes last.
    """
    shaped = with_shapes(model)
    outputs = {value.name for value in shaped.graph.output}
    real = {
        value.name
        for value in (*shaped.graph.value_info, *shaped.graph.output)
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
    }
    dequantized, steps = dict(dequantized_tensors(model)), _steps(model)
    tensors = {}
    for layer in layer_tensors(model, target):
        shown = dequantized.get(layer.name, layer.name)
        if shown in real:
            step = steps.get(shown)
            tensors[layer.name] = InnerTensor(
                layer.name, layer.op, shown, step, is_output=shown in outputs
            )
    shown_outputs = {tensor.shown for tensor in tensors.values() if tensor.is_output}
    for name in (value.name for value in shaped.graph.output):
        if name not in shown_outputs and name in real:
            tensors[name] = InnerTensor(name, "Output", name, steps.get(name), is_output=True)
    return tuple(tensors.values())


def _steps(model: ModelProto) -> dict[str, float]:
    """Return dequantized tensor -> its scale, where that is one number."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    scales = {
        node.output[0]: numpy_helper.to_array(weights[node.input[1]])
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[1] in weights
    }
    return {name: float(scale.reshape(())) for name, scale in scales.items() if scale.size == 1}
