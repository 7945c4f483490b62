"""How a recipe's model is quantized: scheme, method, mixed precision, and what is held out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from onnx import ModelProto

from ...accuracy.metrics.metric_table import Scoring
from ...calibration_data.samples import Samples
from ...convert.chips.cycles import layer_cycles
from ...convert.chips.targets import Target
from ...core.diagnostics import Diagnostic, option
from ...core.errors import OptionError
from ...core.graphs.layers import LayerShape
from ...quantize.four_bits import quantize_four_bits
from ...quantize.methods.method_table import AUTO
from ...quantize.mixing.activation_mix import MixedBudget, parse_mixed
from ...quantize.mixing.weight_mix import FourBitMix
from ...quantize.quantize import Mixed, QuantizeResult, quantize
from ...quantize.rendering.plan import Plan
from ..recipes.recipe import Recipe
from ..samples.bound_metric import scoring_of
from ..samples.task_metric import judge_for
from .stage_log import Step

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
    metric: Scoring | str = "top1",
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


def quantize_as(
    recipe: Recipe,
    target: Target,
    model: ModelProto,
    output: Path,
    plan: Path,
    calib: Samples,
    step: Step,
    *,
    symmetric: bool = False,
) -> QuantizeResult:
    """Quantize a prepared model in the way that a recipe asks for, for a target."""
    if recipe.quantize == "w4a16":
        return _four_bits(recipe, target, model, output, plan, calib, step)
    mixed = _mixed(recipe, target)
    return quantize_step(
        model,
        output,
        plan,
        calib,
        step,
        method=recipe.method,
        mixed=mixed,
        metric=scoring_of(recipe, model, calib),
        seed=recipe.seed,
        scheme=recipe.quantize,
        symmetric=symmetric,
    )


def _four_bits(
    recipe: Recipe,
    target: Target,
    model: ModelProto,
    output: Path,
    plan: Path,
    calib: Samples,
    step: Step,
) -> QuantizeResult:
    if "w4a16" not in target.dtypes:
        raise OptionError(
            f"{target.name} has no w4a16",
            f"it has: {', '.join(target.dtypes)}; name a chip that has it with {option('target')}",
        )
    mix = _four_bit_mix(recipe)
    tried = recipe.method == AUTO or recipe.mixed not in ("auto", "off")
    seen, kept = held_out(calib, recipe.seed) if tried else (calib, None)
    judge, notices = judge_for(model, kept, scoring_of(recipe, model, calib))
    result = quantize_four_bits(
        model,
        output,
        plan,
        seen,
        kept or (),
        method=recipe.method,
        metric=judge,
        mix=mix,
        seed=recipe.seed,
        on_progress=_of_all(seen, step),
    )
    return replace(result, notices=(*notices, *result.notices))


def _four_bit_mix(recipe: Recipe) -> FourBitMix | None:
    """The recipe's mixed precision beside weights of 4 bits. Raises OptionError."""
    if recipe.mixed == "off":
        return None
    if recipe.mixed == "auto":
        return FourBitMix(_FOUR_BIT_RESCUE, recipe.search_time, _POOR_DB)
    budget = parse_mixed(recipe.mixed)
    if budget.kind == "cycles":
        raise OptionError(
            f"{option('mixed', recipe.mixed)} is for w8a8: beside weights of 4 bits, float16 "
            "takes space",
            "say how much: size=-15% is 15 % less than in int8; or ask for accuracy with sqnr=20",
        )
    return FourBitMix(budget, recipe.search_time)


def require_mixable(recipe: Recipe, target: Target) -> None:
    """Raise OptionError when a chip or the scheme has no such mixed precision."""
    if recipe.quantize == "w4a16":
        _four_bit_mix(recipe)
    else:
        _mixed(recipe, target)


def _mixed(recipe: Recipe, target: Target) -> Mixed | None:
    """The recipe's mixed precision on a chip; None for none. Raises OptionError."""
    asked = recipe.mixed not in ("auto", "off")
    budget = parse_mixed(recipe.mixed) if asked else _RESCUE
    if asked and not recipe.in_int8:
        raise OptionError(
            f"{option('mixed')} is for w8a8 and w4a16, not for {recipe.quantize}",
            "it leaves some layers of a model in 16 bits: leave it out",
        )
    if budget.kind == "size":
        raise OptionError(
            f"{option('mixed', recipe.mixed)} is for w4a16: in int8, 16 bits take time",
            "say how much with cycles=+8%, or ask for accuracy with sqnr=25",
        )
    wide = target.mixes_with
    if recipe.mixed == "off" or (not asked and (wide is None or not recipe.in_int8)):
        return None
    if wide is None:
        raise OptionError(
            f"{target.name} has neither float16 nor int16 to mix with int8",
            f"leave {option('mixed')} out for this chip",
        )

    def cost(layer: LayerShape, dtype: str) -> float:
        return layer_cycles(layer, target, dtype)

    return Mixed(budget, cost, recipe.search_time, None if asked else _POOR_DB, wide)


def quantize_notices(recipe: Recipe, result: QuantizeResult) -> tuple[Diagnostic, ...]:
    """What is to be said of how a model was quantized."""
    return (*_mixed_shortfall(recipe, result.plan), *result.notices)


def _mixed_shortfall(recipe: Recipe, plan: Plan) -> tuple[Diagnostic, ...]:
    """A warning when the accuracy that mixed precision was asked for was not reached."""
    if recipe.mixed in ("auto", "off") or not plan.tradeoffs:
        return ()
    budget, least = parse_mixed(recipe.mixed), plan.tradeoffs[0].size_ratio
    if least is not None and least > 1 + budget.most:
        return (
            Diagnostic(
                "mixed-budget",
                f"{option('mixed', recipe.mixed)} was not reached: with as few in float16 as can "
                "be, the "
                f"weights take {least:.0%} of what they take in int8",
                "those of depthwise, grouped and transposed convolutions are in float16 anyway",
            ),
        )
    if plan.scheme == "w4a16" and len(plan.floating) == len(plan.weights):
        return (
            Diagnostic(
                "mixed-budget",
                f"{option('mixed', recipe.mixed)} leaves no weight in 4 bits: it takes all in "
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
            f"{option('mixed', recipe.mixed)} was not reached: the best choice has {best:.1f} dB "
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
    model: ModelProto, output: Path, calib: Samples, step: Step
) -> QuantizeResult:
    """Quantize in the quickest way: how many cycles it takes does not depend on the method."""
    plan = output.with_suffix(".toml")
    return quantize_step(model, output, plan, calib, step, method="min-max")
