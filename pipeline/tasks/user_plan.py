"""A plan that convert is given with a model: the model that it is about, and how it is used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile

from onnx import ModelProto

from ...convert.chips.targets import Target, require_dtype
from ...core.diagnostics import Diagnostic, option
from ...core.errors import ModelError, OptionError
from ...core.graphs.graph import Graph
from ...core.graphs.model import is_qdq, save_model
from ...quantize.choices.names import scheme_names
from ...quantize.integer.equalize import as_planned
from ...quantize.quantize import QuantizeResult
from ...quantize.rendering.plan import Plan, read_plan
from ...quantize.rendering.qdq import insert_qdq
from ...quantize.schemes import find_scheme, marked_scheme
from .plan_handover import handover_of


def apply_plan(
    model: ModelProto, source: Path | None, stem: Path
) -> tuple[ModelProto, QuantizeResult | None]:
    """Write a model's quantized form and plan beside ``stem``; return them and the float model.

    The plan of ``source`` is about that float model; without one there is only the model. Raises
    OptionError for a quantized model, ModelError for the plan of another one.
    """
    if source is None:
        return model, None
    if is_qdq(model):
        raise OptionError(
            f"the model is quantized already (QDQ), so it takes no {option('plan')}",
            f"leave {option('plan')} out, or give the float model",
        )
    plan = read_plan(source)
    _require_fit(plan, model, source)
    result = QuantizeResult(intended_beside(stem), stem.with_name(f"{stem.name}.plan.toml"), plan)
    base = as_planned(model, plan)
    if find_scheme(plan.scheme).is_qdq:
        save_model(insert_qdq(base, plan), result.path)
    copyfile(source, result.plan_path)  # as it is, with its comments
    return base, result


def require_carried(source: Path, quantization: str, target: Target) -> None:
    """Read a plan; raise ModelError or OptionError for a number format that cannot be built.

    Either the chip lacks it, or the route that was asked for, if any, would make another of it.
    """
    plan = read_plan(source)
    if plan.scheme not in scheme_names() or not find_scheme(plan.scheme).quantizes:
        raise ModelError(
            f"{source}: this version quantizes nothing to the plan's scheme {plan.scheme!r}",
            "quantize again with this version",
        )
    require_dtype(target, plan.scheme)
    if quantization != "auto" and handover_of(plan).dtype is not None:
        raise OptionError(
            f"{option('route', quantization)} cannot carry a plan in {plan.scheme}",
            f"leave {option('route')} out",
        )


def _require_fit(plan: Plan, model: ModelProto, source: Path) -> None:
    """Raise ModelError for a plan with a tensor that the model lacks, or has in another shape.

    Or without a weight of the model that such a plan always names.
    """
    graph = Graph(model)
    strange = [f"has no tensor {name!r}" for name in plan.activations if name not in graph.names]
    for name, weight in plan.weights.items():
        shape = graph.weights[name].shape if name in graph.weights else None
        if shape is None:
            strange.append(f"has no weight {name!r}")
        elif weight.channels not in shape[weight.axis : weight.axis + 1]:
            strange.append(
                f"has no {weight.channels} channels along axis {weight.axis} of {name!r}"
            )
    named = find_scheme(plan.scheme).always_planned(graph)
    strange += [f"has a weight {name!r} too" for name in named if name not in plan.weights]
    if strange:
        raise ModelError(
            f"{source}: the plan is for another model: this one {strange[0]}",
            "quantize this model, or give the one that the plan was made for",
        )


def intended_beside(stem: Path) -> Path:
    """Return where the quantized form is written; ``stem`` is the .rknn without that."""
    return stem.with_name(f"{stem.name}.intended.onnx")


def require_no_rounded_weights(model: ModelProto) -> None:
    """Raise OptionError for rounded weights, about to be stored in float16 for want of a plan."""
    scheme = marked_scheme(model)
    if scheme is not None:
        raise OptionError(
            f"the model's weights were rounded to {scheme.weight_bits} bits, and in float16 they "
            "would save nothing",
            f"give the plan that quantize wrote beside it with {option('plan')}, and "
            f"{option('calib')}",
        )


def quantization_with(
    quantization: str, dtype: str | None, quantized: QuantizeResult | None
) -> tuple[str, str | None]:
    """Return how the toolkit is to quantize, and to which type, where that is the plan's to say."""
    if quantized is None or quantization != "auto":
        return quantization, dtype
    handover = handover_of(quantized.plan)
    if handover.quantizer == "hybrid":
        return "hybrid", quantized.plan.scheme
    # what the toolkit would quantize without the plan is taken in QDQ form, or refused
    return (handover.quantizer, handover.dtype) if handover.takes_quantized else ("auto", None)


def weight_warnings(plan: Plan, model: ModelProto) -> Iterator[Diagnostic]:
    """Warn that a plan has ranges and types, but not the integers that a method chose.

    ``model`` is as it is in its file, where a quantized one says that it has them.
    """
    if marked_scheme(model) is not None or not plan.integer_weights:
        return
    if (
        any(weight.source != "nearest" for weight in plan.weights.values())
        or plan.method != "min-max"
    ):
        yield Diagnostic(
            "plan-weights",
            f"the weights are rounded to nearest: {plan.method} found better ones, and biases, "
            "which only the quantized model holds",
            "convert that model instead of the float one with its plan",
        )
