"""How a recipe's model is quantized: scheme, method, mixed precision, and what is held out."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from onnx import ModelProto

from ...accuracy.metrics.metric_table import BoundMetric
from ...calibration_data.samples import Samples
from ...convert.audit.audit_view import view_of
from ...convert.audit.range_audit import join_warnings
from ...convert.chips.targets import Target, require_dtype
from ...convert.latency.coefficients import is_fitted
from ...convert.request import ToolkitSettings
from ...convert.toolkit.environment import toolkit_version
from ...core.diagnostics import Diagnostic, option
from ...core.graphs.model import load_model
from ...core.progress import Progress
from ...core.training.schedule import Schedule
from ...quantize.choices.names import AUTO
from ...quantize.mixing.mixed_budget import MixedPrecision, parse_mixed
from ...quantize.quantize import QuantizeResult, quantize
from ...quantize.rendering.plan import Plan
from ...quantize.schemes import find_scheme
from ..caching.stage_cache import Cache
from ..options.check_options import MetricOptions
from ..options.quantize_options import ExplainOptions, QuantizeOptions
from ..recipes.recipe import Recipe
from ..samples.bound_metric import bound_metric
from ..samples.task_metric import judge_for
from .held_out import held_out
from .installed_toolkit import require_toolkit
from .mixed_precision import mixed_precision
from .npu_time import npu_time
from .quantization_training import torch_version, training_schedule, training_warnings
from .training_checkpoint import training_checkpoint

_DEFAULT_TOOLKIT = ToolkitSettings()


def quantize_step(
    model: ModelProto,
    output: Path,
    plan: Path,
    calib: Samples,
    progress: Progress,
    *,
    method: str = AUTO,
    mixed: MixedPrecision | None = None,
    metric: BoundMetric | str = "top1",
    seed: int = 0,
    scheme: str = "w8a8",
    symmetric: bool = False,
    wide: str | None = None,
    has_float16: bool = True,
    logits: tuple[str, ...] = (),
    schedule: Schedule | None = None,
    checkpoint: Path | None = None,
) -> QuantizeResult:
    """Quantize a prepared model; see quantize.quantize.

    A part of the samples is held out to compare the methods on, unless one is named, and to choose
    the tensors of mixed precision on, and to judge the training by that a ``schedule`` asks for.
    Where they have labels, ``metric`` helps to choose.
    """
    is_trained = schedule is not None
    needs_trials = is_trained or method == AUTO or (mixed is not None and mixed.is_asked)
    learnt, unseen = held_out(calib, seed, trains=is_trained) if needs_trials else (calib, None)
    judge, warnings = judge_for(model, unseen, metric) if method == AUTO else (None, ())
    result = quantize(
        model,
        output,
        plan,
        learnt,
        unseen or (),
        method=method,
        scheme=scheme,
        symmetric=symmetric,
        wide=wide,
        has_float16=has_float16,
        logits=logits,
        mixed=mixed,
        metric=judge,
        seed=seed,
        schedule=schedule,
        checkpoint=checkpoint,
        progress=progress,
    )
    return replace(result, notices=(*warnings, *result.notices))


@dataclass(frozen=True)
class QuantizeTask:
    """What quantization is given: it decides the result.

    ``logits`` are the outputs that the whole model reads by a Sigmoid alone, and the host does now.
    ``timed_by`` is the version of the toolkit whose builds mixed precision is judged by, if it is,
    ``torch`` that of PyTorch, if it trains.
    """

    model: ModelProto
    calib: Samples
    options: QuantizeOptions
    metric: MetricOptions
    target: Target
    seed: int
    logits: tuple[str, ...] = ()
    timed_by: str | None = None
    torch: str | None = None


def quantize_task(
    model: ModelProto,
    calib: Samples,
    recipe: Recipe,
    target: Target,
    logits: tuple[str, ...] = (),
) -> QuantizeTask:
    """Return what a recipe asks of quantization for a target, see QuantizeTask for ``logits``."""
    options = recipe.quantize
    version = None
    if _goes_by_time(options, target):
        version = toolkit_version(recipe.toolkit.toolkit_python)
    return QuantizeTask(
        model,
        calib,
        options,
        recipe.metric,
        target,
        recipe.run.seed,
        logits,
        version,
        torch_version(options),
    )


def _goes_by_time(options: QuantizeOptions, target: Target) -> bool:
    """Return whether mixed precision is judged by builds, where there is a toolkit to build."""
    mixing = find_scheme(options.scheme).mixing
    is_timed = mixing is not None and mixing.timed_rescue is not None
    if not is_timed or options.mixed == "off" or not is_fitted(target):
        return False
    return options.mixed.strip().lower().startswith(("auto", "latency", "sqnr"))


def require_extras(options: QuantizeOptions, explain: ExplainOptions) -> None:
    """Raise OptionError for what was asked for and the scheme does not have."""
    extras = {**asdict(explain), "symmetric": options.symmetric}
    for name in (name for name, is_asked in extras.items() if is_asked):
        find_scheme(options.scheme).require_extra(name)


def quantize_as(
    task: QuantizeTask,
    output: Path,
    plan: Path,
    progress: Progress,
    toolkit: ToolkitSettings = _DEFAULT_TOOLKIT,
    cache: Cache | None = None,
) -> QuantizeResult:
    """Quantize a prepared model as it is asked for, for a target.

    ``toolkit`` is how that is run which ``task.timed_by`` tells. A training that is stopped goes on
    where it was, from a file in the ``cache``. Raises ToolkitError where a budget
    in milliseconds is asked for and there is none.
    """
    options, target = task.options, task.target
    scheme = find_scheme(options.scheme)
    require_dtype(target, scheme.name)
    schedule = training_schedule(options, task.model, task.calib, task.seed)
    timing = nullcontext() if task.timed_by is None else npu_time(target, toolkit)
    training = nullcontext() if schedule is None else training_checkpoint("train", task, cache)
    with timing as time, training as checkpoint:
        mixed = mixed_precision(options, target, time)
        if mixed and mixed.budget.kind == "latency" and time is None:
            require_toolkit(toolkit.python)
        return quantize_step(
            task.model,
            output,
            plan,
            task.calib,
            progress,
            method=options.method,
            mixed=mixed,
            metric=bound_metric(task.metric, task.model, task.calib),
            seed=task.seed,
            scheme=scheme.name,
            symmetric=options.symmetric,
            wide=target.mixes_with,
            has_float16=target.core.float16 is not None,
            logits=task.logits,
            schedule=schedule,
            checkpoint=checkpoint,
        )


def quantize_warnings(
    options: QuantizeOptions, result: QuantizeResult, calib: Samples
) -> tuple[Diagnostic, ...]:
    """Return the warnings of how a model was quantized, and of outputs that int8 cannot hold."""
    joined = join_warnings(view_of(load_model(result.path), None))
    shortfall = _mixed_shortfall(options, result.plan)
    training = training_warnings(result.training, calib)
    return (*shortfall, *training, *result.notices, *joined)


def build_shortfall(
    options: QuantizeOptions, plan: Plan, fallback: str | None, sqnr_db: float
) -> tuple[Diagnostic, ...]:
    """Return a warning when a build that the toolkit quantized itself falls short of ``mixed``.

    ``fallback`` is how it did, ``sqnr_db`` what the build has. What the plan promised is judged by
    ``quantize_warnings``.
    """
    if fallback is None or options.mixed in ("auto", "off") or _mixed_shortfall(options, plan):
        return ()
    budget = parse_mixed(options.mixed)
    if budget.kind != "sqnr" or budget.is_reached(sqnr_db):
        return ()
    text = (
        f"{option('mixed', options.mixed)} is not reached: the toolkit quantized the build itself "
        f"({fallback}), and that has {sqnr_db:.1f} dB"
    )
    return (Diagnostic("mixed-budget", text, "ask for less, or convert in float16"),)


def _mixed_shortfall(options: QuantizeOptions, plan: Plan) -> tuple[Diagnostic, ...]:
    """Return a warning when the accuracy that mixed precision was asked for was not reached."""
    if options.mixed in ("auto", "off") or not plan.tradeoffs:
        return ()
    budget, least = parse_mixed(options.mixed), plan.tradeoffs[0].size_ratio
    best = budget.best(plan.tradeoffs).sqnr_db
    if least is not None and least > 1 + budget.most:
        text = (
            "was not reached: with as few in float16 as can be, the weights take "
            f"{least:.0%} of what they take in int8"
        )
        hint = "those of depthwise, transposed and some grouped ones are in float16 anyway"
    elif plan.weights and not plan.integer_weights:
        bits = find_scheme(plan.scheme).weight_bits
        text = f"leaves no weight in {bits} bits: it takes all in float16"
        hint = "ask for less, or convert in float16 without quantizing"
    elif budget.kind == "sqnr" and not budget.is_reached(best):
        text = f"was not reached: the best choice has {best:.1f} dB on held-out samples"
        hint = f"ask for less, search longer with {option('search-time')}, or convert in float16"
    elif budget.kind == "latency" and plan.tradeoffs[0].ms is None:
        text = "was not tried: the toolkit does not build the model in int8 as it is"
        hint = f"count in cycles with {option('mixed', f'cycles=+{budget.value:.0%}')}"
    elif budget.kind == "latency" and not budget.best(plan.tradeoffs).floating:
        text = "buys nothing: no choice of tensors in float16 is better, and fast enough"
        hint = f"allow more, search longer with {option('search-time')}, or convert in float16"
    else:
        return ()
    return (Diagnostic("mixed-budget", f"{option('mixed', options.mixed)} {text}", hint),)
