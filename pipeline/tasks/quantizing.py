"""How a recipe's model is quantized: scheme, method, mixed precision, and what is held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from onnx import ModelProto

from ...accuracy.metrics.metric_table import BoundMetric
from ...calibration_data.samples import Samples
from ...convert.chips.cycles import layer_cycles
from ...convert.chips.targets import Target
from ...core.diagnostics import Diagnostic, option
from ...core.errors import OptionError
from ...core.graphs.layers import LayerShape
from ...core.progress import Progress
from ...quantize.four_bit_mix import FourBitMix
from ...quantize.four_bits import quantize_four_bits
from ...quantize.methods.method_table import AUTO
from ...quantize.mixed import MixedBudget, parse_mixed
from ...quantize.quantize import Mixed, QuantizeResult, quantize
from ...quantize.rendering.plan import Plan
from ..options.check_options import MetricOptions
from ..options.quantize_options import QuantizeOptions
from ..recipes.recipe import Recipe
from ..samples.bound_metric import bound_metric
from ..samples.task_metric import judge_for

Step = Callable[[str, int, int | None], None]

# samples to compare the methods of quantization on; with fewer than two the difference is chance
_LEAST_HELD_OUT, _MOST_HELD_OUT = 2, 24
# a label says less than an output does: of 24 samples it takes four that flip to tell
_MOST_LABELLED = 96
# Where int8 alone gives less than so many dB, a few tensors stay in float16 without being asked
# for: one layer with values of very different size may spoil all that comes after it.
_POOR_DB = 15.0
_RESCUE = MixedBudget("cycles", 0.05)
# beside 4 bits likewise, as long as the weights stay clearly smaller than in int8
_FOUR_BIT_RESCUE = MixedBudget("size", -0.15)


def quantize_step(
    model: ModelProto,
    output: Path,
    plan: Path,
    calib: Samples,
    step: Step,
    *,
    method: str = AUTO,
    mixed: Mixed | None = None,
    metric: BoundMetric | str = "top1",
    seed: int = 0,
    scheme: str = "w8a8",
    symmetric: bool = False,
) -> QuantizeResult:
    """Quantize a prepared model; see quantize.quantize.

    A part of the samples is held out to compare the methods on, unless one is named, and to choose
    the tensors of mixed precision on. Where they have labels, ``metric`` helps to choose.
    """
    tried = method == AUTO or (mixed is not None and mixed.below_db is None)
    seen, kept = held_out(calib, seed) if tried else (calib, None)
    judge, notices = judge_for(model, kept, metric) if method == AUTO else (None, ())
    result = quantize(
        model,
        output,
        plan,
        seen,
        kept or (),
        method=method,
        scheme=scheme,
        symmetric=symmetric,
        mixed=mixed,
        metric=judge,
        seed=seed,
        on_progress=_of_all(seen, step),
    )
    return replace(result, notices=(*notices, *result.notices))


@dataclass(frozen=True)
class QuantizeTask:
    """What quantization is given: it decides the result."""

    model: ModelProto
    calib: Samples
    options: QuantizeOptions
    metric: MetricOptions
    target: Target
    seed: int


def quantize_task(
    model: ModelProto, calib: Samples, recipe: Recipe, target: Target
) -> QuantizeTask:
    """Return what a recipe asks of quantization for a target."""
    return QuantizeTask(model, calib, recipe.quantize, recipe.metric, target, recipe.run.seed)


def quantize_as(task: QuantizeTask, output: Path, plan: Path, progress: Progress) -> QuantizeResult:
    """Quantize a prepared model as it is asked for, for a target."""
    options = task.options
    if options.scheme == "w4a16":
        return _four_bits(task, output, plan, progress)
    return quantize_step(
        task.model,
        output,
        plan,
        task.calib,
        progress.step,
        method=options.method,
        mixed=_mixed(options, task.target),
        metric=bound_metric(task.metric, task.model, task.calib),
        seed=task.seed,
        scheme=options.scheme,
        symmetric=options.symmetric,
    )


def _four_bits(task: QuantizeTask, output: Path, plan: Path, progress: Progress) -> QuantizeResult:
    options, target = task.options, task.target
    if "w4a16" not in target.dtypes:
        raise OptionError(
            f"{target.name} has no w4a16",
            f"it has: {', '.join(target.dtypes)}; name a chip that has it with {option('target')}",
        )
    mix = _four_bit_mix(options)
    tried = options.method == AUTO or options.mixed not in ("auto", "off")
    seen, kept = held_out(task.calib, task.seed) if tried else (task.calib, None)
    scoring = bound_metric(task.metric, task.model, task.calib)
    judge, notices = judge_for(task.model, kept, scoring)
    result = quantize_four_bits(
        task.model,
        output,
        plan,
        seen,
        kept or (),
        method=options.method,
        metric=judge,
        mix=mix,
        seed=task.seed,
        on_progress=_of_all(seen, progress.step),
    )
    return replace(result, notices=(*notices, *result.notices))


def _four_bit_mix(options: QuantizeOptions) -> FourBitMix | None:
    """The recipe's mixed precision beside weights of 4 bits. Raises OptionError."""
    if options.mixed == "off":
        return None
    if options.mixed == "auto":
        return FourBitMix(_FOUR_BIT_RESCUE, options.search_time, _POOR_DB)
    budget = parse_mixed(options.mixed)
    if budget.kind == "cycles":
        raise OptionError(
            f"{option('mixed', options.mixed)} is for w8a8: beside weights of 4 bits, "
            "float16 "
            "takes space",
            "say how much: size=-15% is 15 % less than in int8; or ask for accuracy with sqnr=20",
        )
    return FourBitMix(budget, options.search_time)


def require_mixable(options: QuantizeOptions, target: Target) -> None:
    """Raise OptionError when a chip or the scheme has no such mixed precision."""
    if options.scheme == "w4a16":
        _four_bit_mix(options)
    else:
        _mixed(options, target)


def _mixed(options: QuantizeOptions, target: Target) -> Mixed | None:
    """The recipe's mixed precision on a chip; None for none. Raises OptionError."""
    asked = options.mixed not in ("auto", "off")
    budget = parse_mixed(options.mixed) if asked else _RESCUE
    if asked and options.scheme != "w8a8":
        raise OptionError(
            f"{option('mixed')} is for w8a8 and w4a16, not for {options.scheme}",
            "it leaves some layers of a model in 16 bits: leave it out",
        )
    if budget.kind == "size":
        raise OptionError(
            f"{option('mixed', options.mixed)} is for w4a16: in int8, 16 bits take time",
            "say how much with cycles=+8%, or ask for accuracy with sqnr=25",
        )
    wide = target.mixes_with
    if options.mixed == "off" or (not asked and (wide is None or options.scheme != "w8a8")):
        return None
    if wide is None:
        raise OptionError(
            f"{target.name} has neither float16 nor int16 to mix with int8",
            f"leave {option('mixed')} out for this chip",
        )

    def cost(layer: LayerShape, dtype: str) -> float:
        return layer_cycles(layer, target, dtype)

    return Mixed(budget, cost, options.search_time, None if asked else _POOR_DB, wide)


def quantize_notices(options: QuantizeOptions, result: QuantizeResult) -> tuple[Diagnostic, ...]:
    """What is to be said of how a model was quantized."""
    return (*_mixed_shortfall(options, result.plan), *result.notices)


def _mixed_shortfall(options: QuantizeOptions, plan: Plan) -> tuple[Diagnostic, ...]:
    """A warning when the accuracy that mixed precision was asked for was not reached."""
    if options.mixed in ("auto", "off") or not plan.tradeoffs:
        return ()
    budget, least = parse_mixed(options.mixed), plan.tradeoffs[0].size_ratio
    if least is not None and least > 1 + budget.most:
        return (
            Diagnostic(
                "mixed-budget",
                f"{option('mixed', options.mixed)} was not reached: with as few in "
                "float16 as can "
                "be, the "
                f"weights take {least:.0%} of what they take in int8",
                "those of depthwise, grouped and transposed convolutions are in float16 anyway",
            ),
        )
    if plan.scheme == "w4a16" and len(plan.floating) == len(plan.weights):
        return (
            Diagnostic(
                "mixed-budget",
                f"{option('mixed', options.mixed)} leaves no weight in 4 bits: it takes "
                "all in "
                "float16",
                "ask for less, or convert in float16 without quantizing",
            ),
        )
    best = budget.best(plan.tradeoffs).sqnr_db
    if budget.kind != "sqnr" or budget.is_reached(best):
        return ()
    return (
        Diagnostic(
            "mixed-budget",
            f"{option('mixed', options.mixed)} was not reached: the best choice has "
            f"{best:.1f} dB "
            "on "
            "held-out samples",
            f"ask for less, search longer with {option('search-time')}, or convert in float16",
        ),
    )


def _of_all(samples: Samples, step: Step) -> Step:
    """``step`` with the number of samples as the total where none is given."""
    return lambda what, done, total: step(what, done, len(samples) if total is None else total)


def held_out(calib: Samples, seed: int) -> tuple[Samples, Samples | None]:
    """The samples to learn from, and those to choose by: a fifth, if there are enough."""
    most = _MOST_HELD_OUT if calib.labels is None else _MOST_LABELLED
    count = min(len(calib) // 5, most)
    return (calib, None) if count < _LEAST_HELD_OUT else calib.split(count, seed)


def quantize_for_cycles(
    model: ModelProto, output: Path, calib: Samples, progress: Progress
) -> QuantizeResult:
    """Quantize in the quickest way: how many cycles it takes does not depend on the method."""
    plan = output.with_suffix(".toml")
    return quantize_step(model, output, plan, calib, progress.step, method="min-max")
