"""Quantize a model to int8 from calibration samples: the intended QDQ model and the plan."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from onnx import ModelProto

from ..core.diagnostics import Diagnostic, option
from ..core.errors import OptionError
from ..core.files import replacing
from ..core.graphs.model import save_model
from ..core.scratch import scratch_folder
from .graph_parts.quantizable import require_to_choose_by, underflow_notices
from .integer.apply_method import Progress, Subject, quantized
from .integer.model_variants import Ways, subject_of
from .methods.method_table import AUTO, COMPARED, METHODS, REFINED
from .mixing.activation_mix import LayerCost, MixedBudget, growing_choices, search, sensitivities
from .rendering.plan import Plan, compared, write_plan
from .statistics.few_samples import FewSamples
from .trials.held_out_samples import HeldOut, SampleSet
from .trials.method_selection import USER, TaskMetric, Trial, verdict_on

_OF_16_BITS = ("gptq-min-max", "min-max")


@dataclass(frozen=True)
class QuantizeResult:
    """The intended QDQ model, the plan beside it, and what is to be said of them."""

    path: Path
    plan_path: Path
    plan: Plan
    notices: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True)
class Mixed:
    """How much mixed precision may cost or must bring, what layers cost, and how long to search.

    ``wide`` is the 16-bit type, float16 or int16. With ``below_db`` it is only tried where int8
    alone stays below that on held-out samples.
    """

    budget: MixedBudget
    cost: LayerCost
    seconds: float = 300
    below_db: float | None = None
    wide: str = "float16"

    def is_due(self, sqnr_db: float | None) -> bool:
        """Whether to try it for an int8 model of this SQNR (None: not measured)."""
        if self.below_db is None:
            return True
        return sqnr_db is not None and sqnr_db < self.below_db


def quantize(
    model: ModelProto,
    output: Path,
    plan_path: Path,
    samples: SampleSet,
    held_out: SampleSet = (),
    *,
    method: str = AUTO,
    scheme: str = "w8a8",
    symmetric: bool = False,
    mixed: Mixed | None = None,
    metric: TaskMetric | None = None,
    seed: int = 0,
    on_progress: Progress = lambda what, done, total: None,
) -> QuantizeResult:
    """Quantize a prepared model to int8 (weights per channel, activations per tensor).

    ``samples`` are calibration feeds (input name -> array, batch 1), read once, or twice where
    channels are equalized, one in memory at a time. With ``method`` auto the methods are compared
    on ``held_out`` samples: gptq is kept unless another one has a higher SQNR beyond chance, of
    those that the ``metric``, if any, cannot tell from its best (see judging). With ``mixed`` some
    tensors stay in float, as its budget allows. Once that is decided, the held-out samples count as
    well. Writes the QDQ model to ``output`` and the plan to ``plan_path``. Raises ModelError when
    the opset is below 13 or nothing in the model can be quantized, SamplesError when there are no
    samples, or none to try mixed precision on.
    """
    require_to_choose_by(held_out, mixed is not None and mixed.below_db is None)
    names = _names(method, held_out, scheme)
    with scratch_folder() as folder:
        few = FewSamples(folder / "few")
        subject = subject_of(model, names, few, seed, on_progress)
        subject = replace(subject, scheme=scheme, symmetric=symmetric)
        subject = subject.having_seen(few.passing(samples))
        kept = HeldOut(model, held_out, folder)
        ways = Ways(subject, names, samples, seed, on_progress)
        plan = _best(ways, names, kept, metric, on_progress)
        if method != AUTO:
            plan = replace(plan, chosen_by=USER)
        subject = ways.subject(plan.method)
        if mixed is not None and mixed.is_due(plan.candidates.get(plan.method)):
            plan = _mixed(subject, plan, kept, mixed, on_progress)
        plan, rendered = _made(subject.having_seen(kept) if len(kept) else subject, plan)
    with replacing(plan_path) as whole_plan:  # it appears only when the model did
        write_plan(plan, whole_plan)
        save_model(rendered, output)
    return QuantizeResult(output, plan_path, plan, underflow_notices(subject.layers))


def _names(method: str, held_out: SampleSet, scheme: str) -> tuple[str, ...]:
    compared = _OF_16_BITS if scheme == "w8a16" else COMPARED
    if method == AUTO:
        return compared if len(held_out) else compared[:1]
    if method not in METHODS:
        raise OptionError(
            f"{option('method', method)} is not known",
            f"choose one of: {AUTO}, {', '.join(METHODS)}",
        )
    if scheme == "w8a16" and method not in compared:
        raise OptionError(
            f"{option('method', method)} narrows the ranges of activations or their channels, "
            "which 16 bits "
            "do not need",
            f"choose one of: {AUTO}, {', '.join(compared)}",
        )
    return (method,)


def _best(
    ways: Ways,
    names: tuple[str, ...],
    held_out: HeldOut,
    metric: TaskMetric | None,
    on_progress: Progress,
) -> Plan:
    """The best of these methods, and then of what may make that one better still.

    The models that are tried are not kept: to make one again takes less than it takes memory.
    """
    plans: dict[str, Plan] = {}
    trials: dict[str, Trial] = {}
    left, steps = list(names), iter(range(1, 1 << 30))
    while left:
        total = (len(plans) + len(left)) * len(held_out)
        name = left.pop(0)
        plans[name], rendered = quantized(ways.subject(name), name)
        if not len(held_out):
            return plans[name]
        trials[name] = held_out.trial(rendered, metric, partial(_count, steps, total, on_progress))
        if name == names[-1] and names == COMPARED:
            refined = REFINED.get(verdict_on(trials, metric).best, ())
            left.extend(other for other in refined if ways.changes(other))
    verdict = verdict_on(trials, metric)
    return compared(plans[verdict.best], len(held_out), trials, verdict, metric)


def _count(steps: Iterator[int], total: int, on_progress: Progress) -> None:
    on_progress("compare", next(steps), total)


def _mixed(
    subject: Subject, plan: Plan, held_out: HeldOut, mixed: Mixed, on_progress: Progress
) -> Plan:
    """The plan with some tensors in 16 bits: the best of what was tried within the budget."""
    started = time.monotonic()
    half, deadline = started + mixed.seconds / 2, started + mixed.seconds
    sensitivity = sensitivities(
        subject.model, plan, held_out, half, lambda *at: on_progress("sensitivity", *at)
    )
    budget, soon = mixed.budget, half + mixed.seconds / 10  # the rest of the time is for the trials
    if mixed.wide == "int16":  # the toolkit takes the inputs of a model in int8 alone
        inputs = subject.graph.input_names
        sensitivity = {name: one for name, one in sensitivity.items() if name not in inputs}
    choices = growing_choices(
        subject.graph, plan, sensitivity, mixed.cost, budget.most, soon, mixed.wide
    )

    tried = search(
        choices,
        lambda floating: held_out.sqnr_db(quantized(subject, plan.method, floating, mixed.wide)[1]),
        budget,
        deadline,
        lambda *at: on_progress("mixed precision", *at),
    )
    best, _ = quantized(subject, plan.method, budget.best(tried).floating, mixed.wide)
    return replace(
        plan,
        activations=best.activations,
        weights=best.weights,
        float_operators=best.float_operators,
        tradeoffs=tuple(tried),
    )


def _made(subject: Subject, plan: Plan) -> tuple[Plan, ModelProto]:
    """The model quantized in the way of ``plan``, from what is known of it by now."""
    again, rendered = quantized(subject, plan.method, plan.floating, plan.wide)
    chosen = replace(plan, samples=again.samples, activations=again.activations)
    return chosen, rendered
