"""Quantize a model to int8 from calibration samples: the intended QDQ model and the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from onnx import ModelProto

from ..core.errors import ModelError
from ..core.files import replacing
from ..core.graph import Array, Graph
from ..core.model import is_qdq, save_model
from .candidates import SampleSet, output_sqnr
from .histogram import Histogram
from .layers import Layer, layers_of
from .methods import AUTO, COMPARED, METHODS, Method
from .observe import Observed, observe
from .placement import Placement, place, weight_axis
from .plan import Activation, Plan, Weight, write_plan
from .qdq import render
from .range_methods import RANGE_METHODS
from .rounding import Rounded, Rounding, rounded_layers
from .scales import activation_scale

SCHEMES = ("w8a8",)
_FIRST_PER_CHANNEL_OPSET = 13

Feeds = Mapping[str, Array]
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class QuantizeResult:
    """The intended QDQ model, the plan beside it, and what stayed in float."""

    path: Path
    plan_path: Path
    plan: Plan


@dataclass(frozen=True)
class _Subject:
    """A model that is being quantized, and what is known of it."""

    model: ModelProto
    graph: Graph
    placement: Placement
    layers: tuple[Layer, ...]
    observed: Observed


def quantize(
    model: ModelProto,
    output: Path,
    plan_path: Path,
    samples: Iterable[Feeds],
    held_out: SampleSet = (),
    *,
    method: str = AUTO,
    seed: int = 0,
    on_progress: Progress = lambda what, done, total: None,
) -> QuantizeResult:
    """Quantize a prepared model to int8 (weights per channel, activations per tensor).

    ``samples`` yields calibration feeds (input name -> array, batch 1), read once, one in memory
    at a time. With ``method`` auto the methods are compared on ``held_out`` samples, and the one
    with the highest SQNR of the outputs is kept; without such samples it is gptq. Writes the QDQ
    model to ``output`` and the plan to ``plan_path``. Raises ModelError when the opset is below 13
    or nothing in the model can be quantized, SamplesError when there are no samples.
    """
    graph, placement = _placed(model)
    names = _names(method, held_out)
    layers = layers_of(graph, placement)
    wants_moments = any(METHODS[name] != METHODS["min-max"] for name in names)
    observed = observe(
        model,
        [name for name in placement.tensors if name not in placement.same_as],
        layers if wants_moments else (),
        samples,
        seed=seed,
        on_progress=lambda done: on_progress("calibrate", done, None),
    )
    subject = _Subject(model, graph, placement, layers, observed)
    plan, rendered = _best(subject, names, held_out, on_progress)
    with replacing(plan_path) as whole_plan:  # it appears only when the model did
        write_plan(plan, whole_plan)
        save_model(rendered, output)
    return QuantizeResult(output, plan_path, plan)


def _placed(model: ModelProto) -> tuple[Graph, Placement]:
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
    return graph, placement


def _names(method: str, held_out: SampleSet) -> tuple[str, ...]:
    if method != AUTO:
        return (method,)
    return COMPARED if len(held_out) else COMPARED[:1]


def _best(
    subject: _Subject, names: tuple[str, ...], held_out: SampleSet, on_progress: Progress
) -> tuple[Plan, ModelProto]:
    made: dict[str, tuple[Plan, ModelProto]] = {}
    known: dict[Rounding, dict[str, Rounded]] = {}
    for done, name in enumerate(names):
        on_progress("round weights", done, len(names))
        made[name] = _quantized(subject, name, known)
    scores = {}
    if len(held_out):
        models = {name: rendered for name, (_, rendered) in made.items()}
        scores = output_sqnr(
            subject.model,
            models,
            held_out,
            lambda done, total: on_progress("compare", done, total),
        )
    best = max(names, key=lambda name: scores.get(name, 0.0))  # the first of equal ones
    plan, rendered = made[best]
    return replace(plan, held_out=len(held_out), candidates=scores), rendered


def _quantized(
    subject: _Subject, name: str, known: dict[Rounding, dict[str, Rounded]]
) -> tuple[Plan, ModelProto]:
    """The model quantized by one method; ``known`` keeps what another may use again."""
    method = METHODS[name]
    activations = _activations(subject.placement, subject.observed.histograms, method.ranges)
    rounded = rounded_layers(
        subject.layers,
        activations,
        subject.observed.moments,
        rounding=method.rounding,
        correct_bias=method.correct_bias,
        known=known.get(method.rounding),
    )
    known[method.rounding] = rounded
    plan = Plan(
        "w8a8",
        subject.observed.count,
        activations,
        _weights(subject.graph, subject.placement, method),
        _left_in_float(subject.graph, subject.placement),
        name,
    )
    return plan, render(subject.model, plan, rounded)


def _activations(
    placement: Placement, histograms: Mapping[str, Histogram], method: str
) -> dict[str, Activation]:
    """Scales from ranges, one a tensor. Moved values have the scale of what they came from."""
    chosen = RANGE_METHODS[method]
    ranges = {name: chosen(histogram) for name, histogram in histograms.items()}
    activations = {}
    for name in placement.tensors:
        origin = placement.same_as.get(name, name)
        low, high = ranges[origin]
        scale, zero_point = activation_scale(low, high)
        source = method if origin == name else f"as {origin}"
        activations[name] = Activation("int8", low, high, scale, zero_point, source)
    return activations


def _weights(graph: Graph, placement: Placement, method: Method) -> dict[str, Weight]:
    weights = {}
    for node in placement.weights:
        axis = weight_axis(graph, node)
        channels = graph.shapes[node.input[1]][axis]
        weights[node.input[1]] = Weight("int8", axis, channels, method.rounding)
    return weights


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
