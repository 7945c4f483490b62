"""How a plan gets to the toolkit: as a QDQ model, or as ranges and types for its own quantizer."""

from __future__ import annotations

from dataclasses import replace

from onnx import ModelProto, NodeProto

from ...calibration_data.samples import Samples
from ...convert.request import ConversionRequest
from ...convert.toolkit.job import ToolkitPlan
from ...core.graphs.graph import Graph
from ...core.graphs.model import load_model
from ...quantize.methods.equalize import as_planned
from ...quantize.quantize import QuantizeResult
from ...quantize.rendering.plan import Plan
from .converting import NpuFeeds


def ranges_of(plan: Plan, model: ModelProto) -> ToolkitPlan:
    """What of a plan the toolkit's own quantizer can be given: ranges, and types but int8.

    ``model`` is the float model that it is given.
    """
    if plan.scheme == "w4a16":
        return ToolkitPlan({}, dict.fromkeys(_float16_layers(plan, Graph(model)), "float16"))
    known = plan.activations.items()
    return ToolkitPlan(
        {name: (one.low, one.high) for name, one in known if one.dtype == "int8"},
        {name: one.dtype for name, one in known if one.dtype != "int8"},
    )


def _float16_layers(plan: Plan, graph: Graph) -> list[str]:
    """What the layers with float16 weights make: the toolkit calls them by that."""
    left = set(plan.floating)
    return [_made(graph, node) for node in graph.nodes if left.intersection(node.input[1:2])]


def _made(graph: Graph, node: NodeProto) -> str:
    """Behind its bias, if that is an operator of its own."""
    made = str(node.output[0])
    readers = graph.consumers.get(made, [])
    if [one.op_type for one in readers] == ["Add"] and graph.weights.keys() & readers[0].input:
        return str(readers[0].output[0])
    return made


def float_model_of(quantized: QuantizeResult, model: ModelProto) -> ModelProto:
    """The float model that the toolkit may be given instead: with what was changed before rounding.

    With weights of 4 bits that is the result itself, whose weights are rounded but still float.
    """
    if quantized.plan.scheme == "w4a16":
        return load_model(quantized.path)
    return as_planned(model, quantized.plan)


def with_quantized(
    request: ConversionRequest, quantized: QuantizeResult | None, calib: Samples | None
) -> ConversionRequest:
    """Return the request to convert what a quantization made of the float ``request.model``.

    That is its QDQ model, or the float model with the plan's ranges or types for the toolkit's own
    quantizer, which ``calib`` is for.
    """
    if quantized is None:
        return request
    plan = quantized.plan
    request = replace(request, calibration=NpuFeeds(calib) if calib is not None else ())
    if plan.scheme == "w4a16":  # its weights are on the grid that the toolkit finds
        types = ranges_of(plan, load_model(quantized.path)) if is_hybrid(plan) else None
        own = "normal" if types is None else "hybrid"
        return replace(request, model=quantized.path, quantization=own, dtype="w4a16", plan=types)
    if plan.scheme == "w8a16":  # the toolkit has no other way to it than its own
        return replace(request, quantization="normal", dtype="w8a16")
    request = replace(request, plan=ranges_of(plan, load_model(request.model)))
    if is_hybrid(plan):
        return replace(request, quantization="hybrid")
    return replace(request, model=quantized.path, float_model=request.model)


def is_hybrid(plan: Plan) -> bool:
    """Whether only the toolkit's own quantizer can carry a plan: QDQ has neither int16 nor int4."""
    return bool(plan.floating) and (plan.wide == "int16" or plan.scheme == "w4a16")
