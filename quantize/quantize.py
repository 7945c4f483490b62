"""Quantize a model to int8 from calibration samples: the intended QDQ model and the plan."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from onnx import ModelProto

from ..core.errors import SamplesError
from ..core.files import replacing
from ..core.graph import Array, Graph
from ..core.model import save_model
from ..core.results import Notice
from ..core.scratch import scratch_folder
from .candidates import HeldOut, SampleSet
from .histogram import Histogram
from .judging import TaskMetric, Trial, verdict_on
from .layers import Layer, layers_of
from .methods import AUTO, COMPARED, METHODS, Method
from .mixed import LayerCost, MixedBudget, growing_choices, search, sensitivities
from .observe import Observed, observe
from .placement import Placement, left_in_float, place, weight_axis
from .plan import Activation, Plan, Weight, compared, write_plan
from .qdq import render
from .range_methods import RANGE_METHODS
from .requirements import require_quantizable
from .rounding import Rounded, Rounding, rounded_layers
from .scales import activation_scale

Feeds = Mapping[str, Array]
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class QuantizeResult:
    """The intended QDQ model, the plan beside it, and what is to be said of them."""

    path: Path
    plan_path: Path
    plan: Plan
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class Mixed:
    """How much mixed precision may cost or must bring, what layers cost, and how long to search.

    With ``below_db`` it is only tried where int8 alone stays below that on held-out samples.
    """

    budget: MixedBudget
    cost: LayerCost
    seconds: float = 300
    below_db: float | None = None

    def is_due(self, sqnr_db: float | None) -> bool:
        """Whether to try it for an int8 model of this SQNR (None: not measured)."""
        if self.below_db is None:
            return True
        return sqnr_db is not None and sqnr_db < self.below_db


@dataclass(frozen=True)
class _Subject:
    """A model that is being quantized, and what is known of it."""

    model: ModelProto
    graph: Graph
    placement: Placement
    layers: tuple[Layer, ...]
    observed: Observed
    moved: Mapping[str, str]  # tensor -> the one that it was only moved from
    known: dict[Rounding, dict[str, Rounded]] = field(default_factory=dict)


def quantize(
    model: ModelProto,
    output: Path,
    plan_path: Path,
    samples: Iterable[Feeds],
    held_out: SampleSet = (),
    *,
    method: str = AUTO,
    mixed: Mixed | None = None,
    metric: TaskMetric | None = None,
    seed: int = 0,
    on_progress: Progress = lambda what, done, total: None,
) -> QuantizeResult:
    """Quantize a prepared model to int8 (weights per channel, activations per tensor).

    ``samples`` yields calibration feeds (input name -> array, batch 1), read once, one in memory
    at a time. With ``method`` auto the methods are compared on ``held_out`` samples, and the one
    with the highest SQNR of the outputs is kept, of those that the ``metric``, if any, cannot tell
    from its best (see judging); without such samples it is gptq. With ``mixed`` some tensors stay
    in float, as its budget allows. Once that is decided, the held-out samples count as well. Writes
    the QDQ model to ``output`` and the plan to ``plan_path``. Raises ModelError when the opset is
    below 13 or nothing in the model can be quantized, SamplesError when there are no samples, or
    none to try mixed precision on.
    """
    if mixed is not None and mixed.below_db is None and not len(held_out):
        raise SamplesError(
            "mixed precision is chosen by trial, and there are too few calibration samples for it",
            "give at least ten with --calib",
        )
    graph, placement = _placed(model)
    names = _names(method, held_out)
    layers = layers_of(graph, placement)
    wants_moments = any(METHODS[name] != METHODS["min-max"] for name in names)
    observer = partial(
        observe,
        model,
        [name for name in placement.tensors if name not in placement.same_as],
        layers if wants_moments else (),
        seed=seed,
        on_progress=lambda done: on_progress("calibrate", done, None),
    )
    observed = observer(samples)
    subject = _Subject(model, graph, placement, layers, observed, placement.same_as)
    with scratch_folder() as folder:
        kept = HeldOut(model, held_out, folder)
        plan, rendered = _best(subject, names, kept, metric, on_progress)
        if mixed is not None and mixed.is_due(plan.candidates.get(plan.method)):
            plan, rendered = _mixed(subject, plan, kept, mixed, on_progress)
        if len(kept):
            subject = replace(subject, observed=observer(kept, before=observed), known={})
            plan, rendered = _again(subject, plan)
    with replacing(plan_path) as whole_plan:  # it appears only when the model did
        write_plan(plan, whole_plan)
        save_model(rendered, output)
    return QuantizeResult(output, plan_path, plan)


def _placed(model: ModelProto) -> tuple[Graph, Placement]:
    graph = Graph(model)
    placement = place(graph)
    require_quantizable(model, placement.weights)
    return graph, placement


def _names(method: str, held_out: SampleSet) -> tuple[str, ...]:
    if method != AUTO:
        return (method,)
    return COMPARED if len(held_out) else COMPARED[:1]


def _best(
    subject: _Subject,
    names: tuple[str, ...],
    held_out: HeldOut,
    metric: TaskMetric | None,
    on_progress: Progress,
) -> tuple[Plan, ModelProto]:
    made: dict[str, tuple[Plan, ModelProto]] = {}
    trials: dict[str, Trial] = {}
    steps, total = iter(range(1, 1 << 30)), len(names) * len(held_out)
    for name in names:
        made[name] = _quantized(subject, name)
        if len(held_out):
            trials[name] = held_out.trial(
                made[name][1], metric, lambda: on_progress("compare", next(steps), total)
            )
    if not trials:
        return made[names[0]]
    verdict = verdict_on(trials, metric)
    plan, rendered = made[verdict.best]
    return compared(plan, len(held_out), trials, verdict, metric), rendered


def _mixed(
    subject: _Subject, plan: Plan, held_out: HeldOut, mixed: Mixed, on_progress: Progress
) -> tuple[Plan, ModelProto]:
    """The model with some tensors in float16: the best of what was tried within the budget."""
    started = time.monotonic()
    half, deadline = started + mixed.seconds / 2, started + mixed.seconds
    sensitivity = sensitivities(
        subject.model, plan, held_out, half, lambda *at: on_progress("sensitivity", *at)
    )
    budget, soon = mixed.budget, half + mixed.seconds / 10  # the rest of the time is for the trials
    choices = growing_choices(subject.graph, plan, sensitivity, mixed.cost, budget.most, soon)

    tried = search(
        choices,
        lambda floating: held_out.sqnr_db(_quantized(subject, plan.method, floating)[1]),
        budget,
        deadline,
        lambda *at: on_progress("mixed precision", *at),
    )
    best, rendered = _quantized(subject, plan.method, budget.best(tried).floating)
    found = replace(
        plan,
        activations=best.activations,
        weights=best.weights,
        float_operators=best.float_operators,
        tradeoffs=tuple(tried),
    )
    return found, rendered


def _again(subject: _Subject, plan: Plan) -> tuple[Plan, ModelProto]:
    """The model quantized in the way of ``plan``, from what is known of it by now."""
    again, rendered = _quantized(subject, plan.method, plan.floating)
    chosen = replace(plan, samples=again.samples, activations=again.activations)
    return chosen, rendered


def _quantized(
    subject: _Subject, name: str, floating: tuple[str, ...] = ()
) -> tuple[Plan, ModelProto]:
    """The model quantized by one method, with what it learnt left in ``subject.known``."""
    if floating:
        placement = place(subject.graph, floating)
        layers = layers_of(subject.graph, placement)
        subject = replace(subject, placement=placement, layers=layers)
    method = METHODS[name]
    activations = _activations(subject.placement, subject.observed.histograms, method.ranges)
    rounded = rounded_layers(
        subject.layers,
        activations,
        subject.observed.moments,
        rounding=method.rounding,
        correct_bias=method.correct_bias,
        known=subject.known.get(method.rounding),
    )
    subject.known.setdefault(method.rounding, rounded)
    plan = Plan(
        "w8a8",
        subject.observed.count,
        {**activations, **_left_out(subject, method.ranges, floating)},
        _weights(subject.graph, subject.placement, method),
        left_in_float(subject.graph, subject.placement),
        name,
    )
    return plan, render(subject.model, plan, rounded)


def _activations(
    placement: Placement, histograms: Mapping[str, Histogram], method: str
) -> dict[str, Activation]:
    """Scales from ranges, one a tensor. Moved values have the scale of what they came from."""
    activations: dict[str, Activation] = {}
    for name in placement.tensors:
        origin = placement.same_as.get(name, name)
        if origin in activations:
            activations[name] = replace(activations[origin], source=f"as {origin}")
        else:
            activations[name] = _activation(histograms[origin], method)
    return activations


def _activation(histogram: Histogram, method: str, dtype: str = "int8") -> Activation:
    low, high = RANGE_METHODS[method](histogram)
    scale, zero_point = activation_scale(low, high)
    return Activation(dtype, low, high, scale, zero_point, method)


def _left_out(subject: _Subject, method: str, floating: tuple[str, ...]) -> dict[str, Activation]:
    """The tensors that mixed precision leaves in float16, with the ranges that they have."""
    seen, moved = subject.observed.histograms, subject.moved
    found = {}
    for name in floating:
        one = _activation(seen[moved.get(name, name)], method, "float16")
        found[name] = replace(one, source=f"as {moved[name]}") if name in moved else one
    return found


def _weights(graph: Graph, placement: Placement, method: Method) -> dict[str, Weight]:
    weights = {}
    for node in placement.weights:
        axis = weight_axis(graph, node)
        channels = graph.shapes[node.input[1]][axis]
        weights[node.input[1]] = Weight("int8", axis, channels, method.rounding)
    return weights
