"""Quantize a model from calibration samples: the intended model and the plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from onnx import ModelProto

from ..core.diagnostics import Diagnostic, option
from ..core.errors import (
    ModelError,
    NaNSampleError,
    NotFiniteError,
    SamplesError,
    TemporarySpaceError,
)
from ..core.files import replacing
from ..core.graphs.graph import Graph
from ..core.graphs.model import save_model
from ..core.progress import SILENT, Progress
from ..core.results.model_figures import TrainingFigure
from ..core.training.schedule import Schedule
from ..core.types import NamedSamples, SampleSet
from .choices.names import AUTO
from .graph_parts.weighted_layers import WeightedLayer
from .join_notices import join_notices
from .methods import find_method, refinements
from .mixing.mixed_budget import MixedPrecision
from .numeric.scales import quantize_weight, weight_scales
from .rendering.plan import USER, Plan, write_plan
from .schemes import Candidates, find_scheme, marked_scheme
from .statistics.tensor_statistics import Calibration
from .trials.held_out_samples import HeldOut
from .trials.method_selection import MethodTrial, TaskMetric, selected, verdict_on
from .trials.sound_candidates import (
    Fault,
    broken_notices,
    not_finite,
    require_finite_weights,
    without_frames,
)

_NAMED = 5  # layers in a warning


@dataclass(frozen=True)
class QuantizeResult:
    """The intended model, the plan beside it, and what there is to be warned of.

    ``training`` is what training did, where it was asked for.
    """

    path: Path
    plan_path: Path
    plan: Plan
    notices: tuple[Diagnostic, ...] = ()
    training: TrainingFigure | None = None


def quantize(
    model: ModelProto,
    output: Path,
    plan_path: Path,
    samples: SampleSet,
    held_out: SampleSet = (),
    *,
    scheme: str = "w8a8",
    method: str = AUTO,
    symmetric: bool = False,
    wide: str | None = None,
    has_float16: bool = True,
    logits: tuple[str, ...] = (),
    mixed: MixedPrecision | None = None,
    metric: TaskMetric | None = None,
    seed: int = 0,
    schedule: Schedule | None = None,
    checkpoint: Path | None = None,
    progress: Progress = SILENT,
) -> QuantizeResult:
    """Quantize a prepared model to a number format, see schemes.

    ``samples`` are calibration feeds (input name -> array, batch 1), read once, or twice where
    channels are equalized, one in memory at a time. With ``method`` auto the methods are compared
    on ``held_out`` samples: the first is taken unless another one has a higher SQNR beyond chance,
    of those that the ``metric``, if any, cannot tell from its best (see method_selection). With
    ``mixed`` some tensors stay in 16 bits, as its budget allows. Once that is decided, the held-out
    samples count as well. Without ``has_float16`` nothing is left in float. With a ``schedule`` the
    model is trained, see training, and judged on what is held out, which a trained model therefore
    has not seen; where it was stopped it goes on from the file ``checkpoint``, if any, which is the
    caller's to remove.
    Writes the model to ``output`` and the plan to ``plan_path``. Raises
    ModelError when the opset is below 13 or nothing in the model can be quantized, OptionError for
    a method that is not for the scheme, SamplesError when there are no samples, or none to try
    mixed precision on.
    """
    number_format = find_scheme(scheme)
    _require_unrounded(model)
    methods = number_format.methods_for(method, is_trial=len(held_out) > 0)
    if mixed is not None and mixed.is_asked and not len(held_out):
        raise SamplesError(
            "mixed precision is chosen by trial, and there are too few calibration samples for it",
            f"give at least ten with {option('calib')}",
        )
    task = Calibration(
        model, samples, methods, symmetric, seed, progress, wide, logits, has_float16
    )
    try:
        candidates = number_format.candidates(task)
    except NaNSampleError as error:
        if not isinstance(samples, NamedSamples):
            raise
        text = f"{samples.name(error.index)} gives NaN in the tensor {error.tensor!r}"
        raise NaNSampleError(text, error.diagnostic.hint) from error
    unseen = HeldOut(model, held_out)
    refining = number_format.methods if method == AUTO else ()
    plan, broken, without_refit = _best(candidates, task, refining, unseen, metric)
    if method != AUTO:
        plan = replace(plan, chosen_by=USER)
    plan = _mixed(candidates, plan, unseen, mixed)
    training = None
    if schedule is not None:
        from .training.train import train

        # what is to judge the training must not have had a part in what it begins with
        untrained, quantized = _final(candidates, plan, ())
        layers = candidates.layers(untrained)
        trained = train(
            model,
            untrained,
            quantized,
            layers,
            samples,
            unseen,
            schedule,
            metric,
            progress,
            checkpoint,
        )
        training = trained.figure
    if training is not None and training.kept:
        plan, quantized = trained.plan, trained.model
    else:
        try:
            plan, quantized = _final(candidates, plan, unseen)
        except TemporarySpaceError as error:  # the refit for the file is on more samples
            if without_refit is None:
                raise
            broken[plan.method] = without_frames(error)
            plan = _mixed(candidates, without_refit, unseen, mixed)
            plan, quantized = _final(candidates, plan, ())  # the others count since the first time
    with replacing(plan_path) as whole_plan:  # it appears only when the model did
        write_plan(plan, whole_plan)
        save_model(quantized, output)
    underflow = _underflow_warnings(candidates.layers(plan))
    notices = chain(broken_notices(broken), underflow, join_notices(Graph(model), plan))
    return QuantizeResult(output, plan_path, plan, tuple(notices), training)


def _mixed(
    candidates: Candidates, plan: Plan, held_out: HeldOut, mixed: MixedPrecision | None
) -> Plan:
    """Return the plan with some tensors in 16 bits, where that is due."""
    if mixed is None or not mixed.is_due(plan.candidates.get(plan.method)):
        return plan
    return candidates.mixed(plan, held_out, mixed)


def _final(candidates: Candidates, plan: Plan, more: SampleSet) -> tuple[Plan, ModelProto]:
    """Return the model for the file, and its plan. Raises NotFiniteError where it holds NaN."""
    plan, quantized = candidates.final(plan, more)
    require_finite_weights(quantized, plan.method)
    return plan, quantized


def _require_unrounded(model: ModelProto) -> None:
    """Raise ModelError for a float model whose weights were rounded to few bits before."""
    before = marked_scheme(model)
    if before is not None:
        raise ModelError(
            f"the weights of this model were rounded to {before.weight_bits} bits already",
            "quantize the float model that it was made from, or convert this one with its plan",
        )


def _best(
    candidates: Candidates,
    task: Calibration,
    refining: Collection[str],
    held_out: HeldOut,
    metric: TaskMetric | None,
) -> tuple[Plan, dict[str, Fault], Plan | None]:
    """Return the plan of the best method, or of one of those ``refining`` it that is better still.

    The models that are tried are not stored: to make one again takes less than it takes memory.
    Beside it are the methods that lost as they give what is not finite, or as their refit has no
    space for temporary files, and why; where all do, the first of these errors is raised. Last is
    the plan to take where the refit of the best one has no space later, None where there is none.
    """
    plans: dict[str, Plan] = {}
    trials: dict[str, MethodTrial] = {}
    broken: dict[str, Fault] = {}
    queue = list(task.methods)
    while queue:
        total = (len(trials) + len(queue)) * len(held_out)
        name = queue.pop(0)
        earlier = len(trials) * len(held_out)
        try:
            plans[name], quantized = candidates.candidate(name)
            require_finite_weights(quantized, name)
            if not len(held_out):
                return plans[name], broken, None
            trial = held_out.trial(quantized, metric, task.progress, earlier, total)
            if not trial.is_finite:
                raise not_finite(name, "outputs")
            trials[name] = trial
            del quantized
        except NotFiniteError as error:
            broken[name] = error
        except TemporarySpaceError as error:
            if not find_method(name).refits:
                raise
            broken[name] = without_frames(error)
        if not queue and trials:
            best = verdict_on(trials, metric).best
            more = [
                other
                for other in refinements(best)
                if other in refining
                and other not in trials.keys() | broken.keys()
                and candidates.changes(other)
            ]
            # what refits is tried on the best of all others, as it takes longest
            queue = [other for other in more if not find_method(other).refits] or more
    if not trials:
        raise next(iter(broken.values()))
    verdict = verdict_on(preferred_first(trials, task.methods), metric)
    best_plan = selected(plans[verdict.best], trials, verdict, metric)
    others = {name: trial for name, trial in trials.items() if not find_method(name).refits}
    if verdict.best in others or not others:
        return best_plan, broken, None
    other = verdict_on(others, metric)
    refined = find_method(verdict.best).refines
    if refined in others:  # what it has prepared of the model is there still
        other = replace(other, best=refined)
    return best_plan, broken, selected(plans[other.best], others, other, metric)


def preferred_first(
    trials: Mapping[str, MethodTrial], compared: Collection[str]
) -> dict[str, MethodTrial]:
    """Return the trials, those first that refine another method by a refit.

    Such a one is taken unless it is worse by more than chance: it was on no network that it was
    measured on, and what it brings is often less than the few held-out samples can tell from that.
    """

    def comes_later(name: str) -> bool:
        return name in compared or not find_method(name).refits

    return {name: trials[name] for name in sorted(trials, key=comes_later)}


def _underflow_warnings(layers: Sequence[WeightedLayer]) -> tuple[Diagnostic, ...]:
    """Return a warning of layers whose weights are all 0 once rounded, though they are not now."""
    lost = []
    for layer in layers:
        scales = weight_scales(layer.weight, layer.axis)
        if layer.weight.any() and not quantize_weight(layer.weight, scales, layer.axis).any():
            lost.append(layer)
    if not lost:
        return ()
    largest = max(float(abs(layer.weight).max()) for layer in lost)
    names = ", ".join(layer.name for layer in lost[:_NAMED]) + (", ..." if lost[_NAMED:] else "")
    return (
        Diagnostic(
            "weight-underflow",
            f"weights of {largest:.1e} at most are too small for int8, so they are all 0 on the "
            f"chip: those of the layers that make {names}",
            "scale them up and what follows down, or remove these layers",
        ),
    )
