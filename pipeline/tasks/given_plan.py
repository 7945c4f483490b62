"""A plan that convert is given with a model: what it says of it, and how it is carried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile

from onnx import ModelProto

from ...core.diagnostics import Diagnostic, option
from ...core.errors import ModelError, OptionError
from ...core.graphs.graph import Graph
from ...core.graphs.model import is_qdq, save_model
from ...quantize.four_bits import SCHEME, has_four_bits
from ...quantize.methods.equalize import as_planned
from ...quantize.quantize import QuantizeResult
from ...quantize.rendering.plan import Plan, read_plan
from ...quantize.rendering.qdq import render
from .plan_handover import is_hybrid


def planned(
    model: ModelProto, source: Path | None, stem: Path
) -> tuple[ModelProto, QuantizeResult | None]:
    """The model that a plan is about, and its quantized form and plan, beside what is built."""
    if source is None:
        return model, None
    if is_qdq(model):
        raise OptionError(
            f"the model is quantized already (QDQ), so it takes no {option('plan')}",
            f"leave {option('plan')} out, or give the float model",
        )
    plan = read_plan(source)
    known = Graph(model).names
    named = plan.floating if plan.scheme == SCHEME else plan.activations
    strange = next((name for name in named if name not in known), None)
    if strange is not None:
        raise ModelError(
            f"{source}: the plan is for another model: this one has no tensor {strange!r}",
            "quantize this model, or give the one that the plan was made for",
        )
    result = QuantizeResult(intended_beside(stem), stem.with_name(f"{stem.name}.plan.toml"), plan)
    base = as_planned(model, plan)
    if plan.scheme != SCHEME:
        save_model(render(base, plan), result.path)
    copyfile(source, result.plan_path)  # as it is, with its comments
    return base, result


def intended_beside(stem: Path) -> Path:
    """Where the quantized form is written; ``stem`` is the .rknn without that."""
    return stem.with_name(f"{stem.name}.intended.onnx")


def require_not_four_bits(model: ModelProto) -> None:
    """Raise OptionError for weights of 4 bits, about to be stored in float16 for want of a plan."""
    if has_four_bits(model):
        raise OptionError(
            "the model's weights were rounded to 4 bits, and in float16 they would save nothing",
            f"give the plan that quantize wrote beside it with {option('plan')}, and "
            f"{option('calib')}",
        )


def carried(
    quantization: str, dtype: str | None, quantized: QuantizeResult | None
) -> tuple[str, str | None]:
    """How the toolkit is to quantize, and to which type, where that is the plan's to say."""
    if quantized is None or quantization != "auto":
        return quantization, dtype
    if is_hybrid(quantized.plan):
        return "hybrid", quantized.plan.scheme
    return ("normal", SCHEME) if quantized.plan.scheme == SCHEME else ("auto", None)


def not_in_the_plan(plan: Plan, model: ModelProto) -> Iterator[Diagnostic]:
    """A plan has the ranges and types, but not the integers that were found for the weights."""
    if plan.scheme == SCHEME and not _rounded_weights(plan) & Graph(model).names:
        return  # the model has them: they are of other names once they are rounded
    if any(one.source != "nearest" for one in plan.weights.values()) or plan.method != "min-max":
        yield Diagnostic(
            "plan-weights",
            f"the weights are rounded to nearest: {plan.method} found better ones, and biases, "
            "which only the quantized model holds",
            "convert that model instead of the float one with its plan",
        )


def _rounded_weights(plan: Plan) -> set[str]:
    return set(plan.weights) - set(plan.floating)
