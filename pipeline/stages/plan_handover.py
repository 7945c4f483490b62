"""How a plan gets to the toolkit: as a QDQ model, or as ranges and types for its own quantizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnx import ModelProto, NodeProto

from ...calibration_data.samples import Samples
from ...convert.toolkit.job import Ranges
from ...core.graphs.graph import Graph
from ...core.graphs.model import load_model
from ...quantize.integer.equalize import as_planned
from ...quantize.quantize import QuantizeResult
from ...quantize.rendering.plan import Plan


def ranges_of(plan: Plan, model: ModelProto) -> Ranges:
    """What of a plan the toolkit's own quantizer can be given: ranges, and types but int8.

    ``model`` is the float model that it is given.
    """
    if plan.scheme == "w4a16":
        return Ranges({}, dict.fromkeys(_float16_layers(plan, Graph(model)), "float16"))
    known = plan.activations.items()
    return Ranges(
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


def build_options(
    quantized: QuantizeResult | None, floating: Path, calib: Samples | None
) -> tuple[Path, dict[str, Any]]:
    """The file to convert and how: the quantized one, or the ``floating`` one as it is.

    ``floating`` is the model that was quantized. See steps.convert_step for the options.
    """
    if quantized is None:
        return floating, {}
    if quantized.plan.scheme == "w4a16":  # its weights are on the grid that the toolkit finds
        four_bits: dict[str, Any] = {"quantization": "normal", "dtype": "w4a16", "calib": calib}
        if is_hybrid(quantized.plan):
            types = ranges_of(quantized.plan, load_model(quantized.path))
            four_bits.update(quantization="hybrid", plan=types)
        return quantized.path, four_bits
    if quantized.plan.scheme == "w8a16":  # the toolkit has no other way to it than its own
        return floating, {"quantization": "normal", "dtype": "w8a16", "calib": calib}
    ranges = ranges_of(quantized.plan, load_model(floating))
    if is_hybrid(quantized.plan):
        return floating, {"quantization": "hybrid", "calib": calib, "plan": ranges}
    return quantized.path, {"calib": calib, "float_model": floating, "plan": ranges}


def is_hybrid(plan: Plan) -> bool:
    """Whether only the toolkit's own quantizer can carry a plan: QDQ has neither int16 nor int4."""
    return bool(plan.floating) and (plan.wide == "int16" or plan.scheme == "w4a16")
