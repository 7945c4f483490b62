"""How a recipe's model is quantized: scheme, method, mixed precision, and what is held out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from onnx import ModelProto

from ..accuracy.metrics import Scoring
from ..calibration_data.samples import Samples
from ..convert.cycles import layer_cycles
from ..convert.targets import Target
from ..convert.toolkit import Ranges
from ..core.errors import OptionError
from ..core.layers import LayerShape
from ..core.model import load_model
from ..core.results import Notice
from ..quantize.equalize import as_planned
from ..quantize.four_bits import quantize_four_bits
from ..quantize.methods import AUTO
from ..quantize.mixed import MixedBudget, parse_mixed
from ..quantize.plan import Plan
from ..quantize.quantize import Mixed, QuantizeResult, quantize
from .judging import judge_for
from .recipe import Recipe
from .scoring import scoring_of
from .stages import Step

# samples to compare the methods of quantization on; with fewer than two the difference is chance
_LEAST_HELD_OUT, _MOST_HELD_OUT = 2, 24
# a label says less than an output does: of 24 samples it takes four that flip to tell
_MOST_LABELLED = 96
# Where int8 alone gives less than so many dB, a few tensors stay in float16 without being asked
# for: one layer with values of very different size may spoil all that comes after it.
_POOR_DB = 15.0
_RESCUE = MixedBudget("cycles", 0.05)


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
    mixed = mixed_for(recipe, target)
    if recipe.quantize == "w4a16":
        return _four_bits(recipe, target, model, output, plan, calib, step)
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
            f"it has: {', '.join(target.dtypes)}; name a chip that has it with --target",
        )
    seen, kept = held_out(calib, recipe.seed) if recipe.method == AUTO else (calib, None)
    judge, notices = judge_for(model, kept, scoring_of(recipe, model, calib))
    result = quantize_four_bits(
        model,
        output,
        plan,
        seen,
        kept or (),
        method=recipe.method,
        metric=judge,
        seed=recipe.seed,
        on_progress=_of_all(seen, step),
    )
    return replace(result, notices=(*notices, *result.notices))


def mixed_for(recipe: Recipe, target: Target) -> Mixed | None:
    """The recipe's mixed precision on a chip; None for none. Raises OptionError."""
    asked = recipe.mixed not in ("auto", "off")
    budget = parse_mixed(recipe.mixed) if asked else _RESCUE
    if asked and not recipe.in_int8:
        raise OptionError(
            f"--mixed is for w8a8, not for {recipe.quantize}",
            "it leaves some layers of an int8 model in 16 bits: leave it out",
        )
    wide = target.mixes_with
    if recipe.mixed == "off" or (not asked and (wide is None or not recipe.in_int8)):
        return None
    if wide is None:
        raise OptionError(
            f"{target.name} has neither float16 nor int16 to mix with int8",
            "leave --mixed out for this chip",
        )

    def cost(layer: LayerShape, dtype: str) -> float:
        return layer_cycles(layer, target, dtype)

    return Mixed(budget, cost, recipe.search_time, None if asked else _POOR_DB, wide)


def quantize_notices(recipe: Recipe, result: QuantizeResult) -> tuple[Notice, ...]:
    """What is to be said of how a model was quantized."""
    return (*_mixed_shortfall(recipe, result.plan), *result.notices)


def _mixed_shortfall(recipe: Recipe, plan: Plan) -> tuple[Notice, ...]:
    """A warning when the accuracy that mixed precision was asked for was not reached."""
    if recipe.mixed in ("auto", "off") or not plan.tradeoffs:
        return ()
    budget = parse_mixed(recipe.mixed)
    best = budget.best(plan.tradeoffs).sqnr_db
    if budget.kind != "sqnr" or budget.is_reached(best):
        return ()
    return (
        Notice(
            "mixed-budget",
            f"--mixed {recipe.mixed} was not reached: the best choice has {best:.1f} dB on "
            "held-out samples",
            "ask for less, search longer with --search-time, or convert in float16",
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


def ranges_of(plan: Plan) -> Ranges:
    """What of a plan the toolkit's own quantizer can be given: ranges, and types but int8."""
    known = plan.activations.items()
    return Ranges(
        {name: (one.low, one.high) for name, one in known if one.dtype == "int8"},
        {name: one.dtype for name, one in known if one.dtype != "int8"},
    )


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
        return quantized.path, {"quantization": "normal", "dtype": "w4a16", "calib": calib}
    if quantized.plan.scheme == "w8a16":  # the toolkit has no other way to it than its own
        return floating, {"quantization": "normal", "dtype": "w8a16", "calib": calib}
    ranges = ranges_of(quantized.plan)
    if is_hybrid(quantized.plan):
        return floating, {"quantization": "hybrid", "calib": calib, "plan": ranges}
    return quantized.path, {"calib": calib, "float_model": floating, "plan": ranges}


def is_hybrid(plan: Plan) -> bool:
    """Whether only the toolkit's own quantizer can carry a plan: a QDQ model has no int16."""
    return bool(plan.floating) and plan.wide == "int16"
