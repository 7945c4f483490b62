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
from ...core.progress import Progress
from ...quantize.methods import AUTO
from ...quantize.mixing.mixed_budget import MixedPrecision, parse_mixed
from ...quantize.quantize import QuantizeResult, quantize
from ...quantize.rendering.plan import Plan
from ...quantize.schemes import find_scheme
from ..recipes.recipe import Recipe
from ..samples.bound_metric import scoring_of
from ..samples.task_metric import judge_for
from .stage_log import Step

# samples to compare the methods of quantization on; with fewer than two the difference is chance
_LEAST_HELD_OUT, _MOST_HELD_OUT = 2, 24
# a label says less than an output does: of 24 samples it takes four that flip to tell
_MOST_LABELLED = 96


class Steps(Progress):
    """The steps of a stage alone, given to a function that takes them."""

    def __init__(self, step: Step) -> None:
        self._step = step

    def step(self, activity: str, done: int, total: int | None = None) -> None:
        """Note that ``done`` of ``total`` (None when unknown) are finished of an activity."""
        self._step(activity, done, total)


def quantize_step(
    model: ModelProto,
    output: Path,
    plan: Path,
    calib: Samples,
    step: Step,
    *,
    method: str = AUTO,
    mixed: MixedPrecision | None = None,
    metric: Scoring | str = "top1",
    seed: int = 0,
    scheme: str = "w8a8",
    symmetric: bool = False,
) -> QuantizeResult:
    """Quantize a prepared model; see quantize.quantize.

    A part of the samples is held out to compare the methods on, unless one is named, and to choose
    the tensors of mixed precision on. Where they have labels, ``metric`` helps to choose.
    """
    needs_trials = method == AUTO or (mixed is not None and mixed.is_asked)
    learnt, unseen = held_out(calib, seed) if needs_trials else (calib, None)
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
        mixed=mixed,
        metric=judge,
        seed=seed,
        progress=Steps(step),
    )
    return replace(result, notices=(*warnings, *result.notices))


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
    scheme = find_scheme(recipe.quantize)
    if scheme.needs_chip and scheme.name not in target.dtypes:
        raise OptionError(
            f"{target.name} has no {scheme.name}",
            f"it has: {', '.join(target.dtypes)}; name a chip that has it with {option('target')}",
        )
    mixed = mixed_precision(recipe, target)
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
        scheme=scheme.name,
        symmetric=symmetric,
    )


def mixed_precision(recipe: Recipe, target: Target) -> MixedPrecision | None:
    """Return the recipe's mixed precision on a chip; None for none.

    Raises OptionError when the scheme or the chip has no such mixed precision.
    """
    if recipe.mixed == "off":
        return None
    scheme = find_scheme(recipe.quantize)
    mixing, is_asked = scheme.mixing, recipe.mixed != "auto"
    budget = mixing.rescue if mixing else None
    if is_asked:
        budget = parse_mixed(recipe.mixed)
        mixing = scheme.require_mixed(budget, recipe.mixed)
    if mixing is None or budget is None:
        return None
    dtype = mixing.dtype or target.mixes_with
    if dtype is None and is_asked:
        raise OptionError(
            f"{target.name} has neither float16 nor int16 to mix with int8",
            f"leave {option('mixed')} out for this chip",
        )
    if dtype is None:
        return None

    def cost(layer: LayerShape, dtype: str) -> float:
        return layer_cycles(layer, target, dtype)

    below_db = None if is_asked else mixing.below_db
    return MixedPrecision(budget, cost, recipe.search_time, below_db, dtype)


def quantize_notices(recipe: Recipe, result: QuantizeResult) -> tuple[Diagnostic, ...]:
    """Return the warnings of how a model was quantized."""
    return (*_mixed_shortfall(recipe, result.plan), *result.notices)


def _mixed_shortfall(recipe: Recipe, plan: Plan) -> tuple[Diagnostic, ...]:
    """Return a warning when the accuracy that mixed precision was asked for was not reached."""
    if recipe.mixed in ("auto", "off") or not plan.tradeoffs:
        return ()
    budget, least = parse_mixed(recipe.mixed), plan.tradeoffs[0].size_ratio
    if least is not None and least > 1 + budget.most:
        return (
            Diagnostic(
                "mixed-budget",
                f"{option('mixed', recipe.mixed)} was not reached: with as few in float16 as can "
                f"be, the weights take {least:.0%} of what they take in int8",
                "those of depthwise, grouped and transposed convolutions are in float16 anyway",
            ),
        )
    if plan.weights and not plan.integer_weights:
        return (
            Diagnostic(
                "mixed-budget",
                f"{option('mixed', recipe.mixed)} leaves no weight in "
                f"{find_scheme(plan.scheme).weight_bits} bits: it takes all in float16",
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
            "on held-out samples",
            f"ask for less, search longer with {option('search-time')}, or convert in float16",
        ),
    )


def held_out(calib: Samples, seed: int) -> tuple[Samples, Samples | None]:
    """Return the samples to learn from, and those to choose by: a fifth, if there are enough."""
    most = _MOST_HELD_OUT if calib.labels is None else _MOST_LABELLED
    count = min(len(calib) // 5, most)
    return (calib, None) if count < _LEAST_HELD_OUT else calib.split(count, seed)


def quantize_for_cycles(
    model: ModelProto, output: Path, calib: Samples, step: Step
) -> QuantizeResult:
    """Quantize in the quickest way: how many cycles it takes does not depend on the method."""
    plan = output.with_suffix(".toml")
    return quantize_step(model, output, plan, calib, step, method="min-max")
