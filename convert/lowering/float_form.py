"""A quantized model taken apart again: the float model in it, and what its scales say.

The toolkit's own quantizer takes float models only. From any QDQ model, whoever made it, it can
have the weights on their grid as float values, the ranges of the activations, and the type of what
is not quantized. It rounds the weights again, on a grid of its own.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from onnx import ModelProto, TensorProto
from onnx.shape_inference import infer_shapes

from ...core.graphs.graph import Graph
from ..audit.audit_view import view_of
from ..toolkit.job import ToolkitPlan
from .dropped_activations import clipped_tensors, restore_activations

_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
# computed together with what is stored behind them, which alone has a scale then
_JOINED = (
    "Add Sub Mul Div BatchNormalization Relu Clip LeakyRelu PRelu Sigmoid HardSigmoid Tanh".split()
)
_LONGEST = 4  # operators in a HardSwish that is spelt out


@dataclass(frozen=True)
class FloatForm:
    """A float model, and the ranges and types that a quantized form of it has."""

    model: ModelProto
    plan: ToolkitPlan


def float_form(model: ModelProto) -> FloatForm:
    """Return what a QDQ model is made of: what has no scale there is float16.

    What its ranges clip alone gets its activation back. Names of activations stay.
    """
    view = view_of(model, None)
    restored = restore_activations(view.graph, view.ranges, clipped_tensors(model))
    graph = Graph(infer_shapes(restored))
    types = dict.fromkeys(left_in_float(graph, view.quantized or ()), "float16")
    return FloatForm(graph.model, ToolkitPlan(view.ranges, types))


def left_in_float(graph: Graph, quantized: Collection[str]) -> list[str]:
    """Return what float operators make, where only these activations and constants are quantized.

    Nothing behind it is quantized, or the weight of the layer is not.
    """
    values = [*graph.model.graph.value_info, *graph.model.graph.output]
    floats = {v.name for v in values if v.type.tensor_type.elem_type == TensorProto.FLOAT}
    names = [
        name
        for node in graph.nodes
        for name in node.output
        if name in floats and not _ends_quantized(graph, name, quantized)
    ]
    layers = layers_of_weights(graph, graph.weights.keys() - {*quantized})
    return list(dict.fromkeys([*names, *layers]))


def layers_of_weights(graph: Graph, weights: Collection[str]) -> list[str]:
    """Return what layers make of these weights, in graph order."""
    return [
        node.output[0]
        for node in graph.nodes
        if node.op_type in _WEIGHTED and {*node.input[1:2]} & graph.weights.keys() & {*weights}
    ]


def _ends_quantized(
    graph: Graph, name: str, quantized: Collection[str], left: int = _LONGEST
) -> bool:
    """Whether a tensor is quantized, or inside a few operators that end in quantized ones."""
    if name in quantized:
        return True
    readers = graph.consumers.get(name, [])
    if not left or not readers or name in graph.output_names:
        return False
    return all(
        reader.op_type in _JOINED and _ends_quantized(graph, reader.output[0], quantized, left - 1)
        for reader in readers
    )
