"""What a build costs, by the compiler's layer table: latency, frames a second, layers, ratios."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Literal

from ...convert.chips.targets import find_target
from ...convert.compiled_model import CompiledModel
from ...convert.convert import costs_of
from ...convert.latency.application import ApplicationTime, application_ms
from ...convert.latency.bands import ratio_band
from ...convert.latency.scaled import TYPICAL_BAND, proportional_ms
from ...convert.latency.throughput import throughputs
from ...core.results.layer_rows import LayerRow
from ...core.results.model_figures import LatencyFigure, ModelRow, Ratios, ThroughputFigure
from ...core.results.pruning_figures import PruningFigure
from ...prune.results.prune_result import PruneResult

# what two builds of a model differ in: their form alone, or their number format
Differing = Literal["forms", "formats"]


def latency_figures(built: CompiledModel) -> tuple[LatencyFigure, ...]:
    """Return the estimate of the NPU alone, and of an application where others have timed some.

    The former has cycles even where there are no milliseconds.
    """
    latency = built.latency
    if latency is None:
        return ()
    alone = LatencyFigure(**{**asdict(latency), "scale": latency.scale})
    application = _application(built)
    if application is None:
        return (alone,)
    ms, low, high, program = application
    kind = "application-estimate"
    return alone, LatencyFigure(kind, ms, low, high, scale=latency.scale, program=program)


def throughput_figures(built: CompiledModel) -> tuple[ThroughputFigure, ...]:
    """Return the frames a second with one context and more, up to the chip's cores."""
    application = _application(built)
    if application is None:
        return ()
    rates = throughputs(application, find_target(built.target))
    return tuple(ThroughputFigure(**asdict(rate)) for rate in rates)


def _application(built: CompiledModel) -> ApplicationTime | None:
    """Return the time in an application, which is no surer than that of the NPU in it.

    Nor is it shorter: the interval of the program alone would begin below that of the NPU, since it
    is wider.
    """
    latency = built.latency
    if latency is None or not latency.ms:
        return None
    whole = application_ms(latency.ms, built.layers, find_target(built.target))
    if whole is None:
        return None
    alone = (latency.low or latency.ms, latency.high or latency.ms)  # measured, it has no band
    low, high = (whole.ms * end / latency.ms for end in alone)
    least = max(alone[0], min(low, whole.low))
    return whole._replace(low=least, high=max(high, whole.high))


def compiled_row(stage: str, path: str | None, built: CompiledModel, size: int) -> ModelRow:
    """Return the row of a form that was compiled, of so many bytes."""
    return ModelRow(
        *(stage, path, size),
        latency=latency_figures(built),
        throughput=throughput_figures(built),
        memory=built.memory,
    )


def layer_rows(built: CompiledModel) -> tuple[LayerRow, ...]:
    """Return the compiler's layer table, with each layer's part of the estimate."""
    costs = costs_of(built)
    return tuple(
        LayerRow(**asdict(layer), **asdict(cost))
        for layer, cost in zip(built.layers, costs, strict=True)
    )


def ratio(part: float | None, whole: float | None) -> float | None:
    """Return part / whole, or None when either is unknown or nothing."""
    return part / whole if part is not None and whole else None


def differing(built: CompiledModel) -> Differing:
    """Return what a build differs in from the original model in float16."""
    return "forms" if built.quantization == "float16" else "formats"


def ratios_of(result: ModelRow, reference: ModelRow | None, of: Differing | None = None) -> Ratios:
    """Return size, latency, cycles and MACs of a result over those of a reference.

    Where both latencies are estimated, ``of`` says what the two differ in, and with it how sure
    their ratio is.
    """
    if reference is None:
        return Ratios()
    ms = [row.predicted.ms if row.predicted else None for row in (result, reference)]
    latency = ratio(*ms)
    return Ratios(
        ratio(result.bytes, reference.bytes),
        latency,
        ratio(result.cycles, reference.cycles),
        ratio(result.macs, reference.macs),
        *_band(latency, of),
    )


def _band(latency: float | None, of: Differing | None) -> tuple[float | None, float | None]:
    if latency is None or of is None:
        return None, None
    return latency / ratio_band(of), latency * ratio_band(of)


def builds_ratio(
    result: CompiledModel, reference: CompiledModel, of: Differing = "forms"
) -> tuple[float | None, float | None, float | None]:
    """Return the ratio of the times of two builds that differ in ``of``, and its interval.

    A chip with no fit has a ratio too, by typical coefficients: less sure than one with.
    """
    if result.latency is None or reference.latency is None:
        return None, None, None
    latency = ratio(result.latency.ms, reference.latency.ms)
    if latency is not None:
        return (latency, *_band(latency, of))
    target = find_target(result.target)
    ms = [proportional_ms(built.layers, target, built.toolkit) for built in (result, reference)]
    typical, band = ms[0] / ms[1], max(TYPICAL_BAND, ratio_band(of))
    return typical, typical / band, typical * band


def pruning_figure(
    result: PruneResult, macs: float | None, parameters: float | None
) -> PruningFigure:
    """Return what pruning did to the model; the ratios are over unpruned.

    Those of the build come with it (with_build).
    """
    return PruningFigure(
        cycles_ratio=None,
        macs_ratio=macs,
        parameters_ratio=parameters,
        budget=result.budget.kind if result.budget else None,
        predicted_ratio=result.cost_after / result.cost_before if result.budget else None,
        measure=result.measure,
        curve=result.curve,
        groups=result.groups,
        blocks=result.blocks,
        attempts=result.attempts,
        choice=result.choice,
        distillation=result.distillation,
        sparsity=result.sparsity,
        unseen=result.unseen,
    )


def with_build(
    figure: PruningFigure, result: CompiledModel, unpruned: CompiledModel, *, is_mixed: bool
) -> PruningFigure:
    """Return the figure with the ratios of the final build over the unpruned one.

    ``is_mixed`` says that some of the result is in 16 bits, which makes the ratio less sure.
    """
    is_alike = result.quantization == unpruned.quantization and not is_mixed
    latency, low, high = builds_ratio(result, unpruned, "forms" if is_alike else "formats")
    return replace(
        figure,
        cycles_ratio=ratio(result.cycles, unpruned.cycles),
        latency_ratio=latency,
        latency_low=low,
        latency_high=high,
    )
