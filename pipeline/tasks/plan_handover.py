"""How a plan gets to the toolkit: as a QDQ model, or as ranges and types for its own quantizer."""

from __future__ import annotations

from dataclasses import replace

from onnx import ModelProto

from ...calibration_data.samples import Samples
from ...convert.lowering.float_form import layers_of_weights, left_in_float
from ...convert.request import ConversionRequest
from ...convert.toolkit.job import ToolkitPlan
from ...core.graphs.graph import Graph
from ...core.graphs.model import load_model
from ...quantize.graph_parts.four_bit_weights import products_with
from ...quantize.integer.equalize import as_planned
from ...quantize.quantize import QuantizeResult
from ...quantize.rendering.plan import Plan
from ...quantize.schemes import Handover, find_scheme
from .converting import NpuFeeds


def handover_of(plan: Plan) -> Handover:
    """Return how a model with this plan gets to the toolkit."""
    return find_scheme(plan.scheme).handover(plan)


def is_hybrid(plan: Plan) -> bool:
    """Return whether only the toolkit's own quantizer can carry a plan's ranges and types."""
    return handover_of(plan).quantizer == "hybrid"


def fallback_of(plan: Plan, quantization: str) -> str | None:
    """Return what the toolkit quantized with, where it did not take the plan as it was meant to."""
    as_it_is = handover_of(plan).quantizer == "auto"
    return quantization if as_it_is and quantization != "qdq" else None


def ranges_of(plan: Plan, model: ModelProto) -> ToolkitPlan:
    """Return what the toolkit's own quantizer can take of a plan: ranges, and types but int8.

    ``model`` is the float model that it gets. What the plan leaves in float is float16.
    """
    tensors = plan.activations.items()
    types = {name: tensor.dtype for name, tensor in tensors if tensor.dtype != "int8"}
    graph = Graph(model)
    if plan.activations:
        quantized = {*plan.integer_activations, *plan.integer_weights, *plan.constants}
        left = left_in_float(graph, quantized)
    else:  # all activations are in float16 anyway, which says nothing of the weights
        whole = plan.weights.keys() - {*plan.integer_weights}
        left = [*layers_of_weights(graph, whole), *products_with(graph, whole)]
    float16 = dict.fromkeys(left, "float16")
    return ToolkitPlan(
        {name: (tensor.low, tensor.high) for name, tensor in tensors if tensor.dtype == "int8"},
        {**float16, **types},
    )


def float_model_of(quantized: QuantizeResult, model: ModelProto) -> ModelProto:
    """Return the float model for the toolkit: with what was changed before rounding.

    Where the quantized model is a float model, with rounded weights, it is that.
    """
    if find_scheme(quantized.plan.scheme).is_qdq:
        return as_planned(model, quantized.plan)
    return load_model(quantized.path)


def with_quantized(
    request: ConversionRequest, quantized: QuantizeResult | None, calib: Samples | None
) -> ConversionRequest:
    """Return the request to convert what a quantization made of the float ``request.model``.

    That is what ``float_model_of`` gives; ``calib`` is for the toolkit's own quantizer.
    """
    if quantized is None:
        return request
    handover = handover_of(quantized.plan)
    calibration = NpuFeeds(calib) if calib is not None else ()
    ranges = ranges_of(quantized.plan, load_model(request.model)) if handover.takes_ranges else None
    return replace(
        request,
        model=quantized.path if handover.takes_quantized else request.model,
        quantization=handover.quantizer,
        dtype=handover.dtype,
        calibration=calibration,
        float_model=request.model if handover.quantizer == "auto" else None,
        plan=ranges,
    )
