"""Quantize a model to int8 from calibration samples: the intended QDQ model and the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto

from ..core.errors import ModelError
from ..core.files import replacing
from ..core.graph import Array, Graph
from ..core.model import is_qdq, save_model
from .placement import Placement, place, weight_axis
from .plan import Activation, Plan, Weight, write_plan
from .qdq import render
from .ranges import Ranges, measure_ranges
from .scales import activation_scale

SCHEMES = ("w8a8",)
_FIRST_PER_CHANNEL_OPSET = 13


@dataclass(frozen=True)
class QuantizeResult:
    """The intended QDQ model, the plan beside it, and what stayed in float."""

    path: Path
    plan_path: Path
    plan: Plan


def quantize(
    model: ModelProto,
    output: Path,
    plan_path: Path,
    samples: Iterable[Mapping[str, Array]],
    *,
    on_progress: Callable[[int], None] = lambda done: None,
) -> QuantizeResult:
    """Quantize a prepared model to int8 (weights per channel, activations per tensor).

    ``samples`` yields calibration feeds (input name -> array, batch 1), read once, one in memory
    at a time. Writes the QDQ model to ``output`` and the plan to ``plan_path``. Raises ModelError
    when the opset is below 13 or nothing in the model can be quantized.
    """
    if is_qdq(model):
        raise ModelError("the model is quantized already", "convert it as it is")
    graph = Graph(model)
    _require_opset(model)
    placement = place(graph)
    if not placement.weights:
        raise ModelError(
            "nothing in this model can be quantized: it has no convolution or matrix product "
            "with a constant float32 weight",
            "convert it in float16: rockpress run --quantize off",
        )
    ranges, count = measure_ranges(model, placement.tensors, samples, on_progress)
    plan = make_plan(graph, placement, ranges, count)
    rendered = render(model, plan)
    with replacing(plan_path) as whole_plan:  # it appears only when the model did
        write_plan(plan, whole_plan)
        save_model(rendered, output)
    return QuantizeResult(output, plan_path, plan)


def make_plan(graph: Graph, placement: Placement, ranges: Ranges, samples: int) -> Plan:
    """Turn measured ranges into scales: min-max ranges, one scale a tensor."""
    activations = {}
    for name in placement.tensors:
        origin = placement.same_as.get(name, name)
        low, high = ranges[origin]
        scale, zero_point = activation_scale(low, high)
        source = "min-max" if origin == name else f"as {origin}"
        activations[name] = Activation("int8", low, high, scale, zero_point, source)
    weights = {}
    for node in placement.weights:
        axis = weight_axis(graph, node)
        channels = graph.shapes[node.input[1]][axis]
        weights[node.input[1]] = Weight("int8", axis, channels, "round-to-nearest")
    return Plan("w8a8", samples, activations, weights, _left_in_float(graph, placement))


def _left_in_float(graph: Graph, placement: Placement) -> dict[str, int]:
    """Operator type -> number of nodes none of whose outputs is quantized or fused away."""
    quantized = set(placement.tensors)
    fused = {
        name for node in graph.nodes if quantized.intersection(node.output) for name in node.input
    }
    left = Counter(
        node.op_type for node in graph.nodes if not (quantized | fused).intersection(node.output)
    )
    return dict(sorted(left.items()))


def _require_opset(model: ModelProto) -> None:
    versions = (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    opset = next(versions, 1)
    if opset < _FIRST_PER_CHANNEL_OPSET:
        raise ModelError(
            f"the model has opset {opset}; scales per channel need opset 13 or later",
            "export the model with opset 13 to 19",
        )
