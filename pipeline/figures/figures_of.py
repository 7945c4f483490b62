"""From the results of the stages to the figures of the report."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ...accuracy.compare import Comparison
from ...accuracy.confidence.proportions import Interval
from ...accuracy.gates import Gate, max_latency_gate, max_size_gate, min_retention_gate
from ...accuracy.retention import too_few_samples
from ...calibration_data.images.pictures import picture_uri
from ...calibration_data.preprocess import suspicious_scale
from ...calibration_data.preprocessing import Preprocessing
from ...calibration_data.samples import Samples
from ...convert.chips.latency import layer_costs
from ...convert.chips.targets import find_target
from ...convert.convert import Conversion
from ...core.diagnostics import Diagnostic, option
from ...core.results import (
    AccuracyFigure,
    GateFigure,
    LatencyFigure,
    ModelRow,
    PruningFigure,
    QuantizationFigure,
    RetentionFigure,
    TradeoffFigure,
)
from ...prune.results.prune_result import PruneResult
from ...quantize.quantize import QuantizeResult
from ..options.check_options import Gates

# Below this an output is mostly noise; without labels nothing else in the report would say so.
_LEAST_SQNR_DB = 15.0


def accuracy_figure(comparison: Comparison, runner: str) -> AccuracyFigure | None:
    """The candidate's accuracy with its 95 % interval, or None without labels."""
    return _accuracy(comparison, comparison.candidate_value, comparison.candidate_interval, runner)


def baseline_accuracy(comparison: Comparison) -> AccuracyFigure | None:
    """The baseline's accuracy with its 95 % interval, or None without labels."""
    return _accuracy(
        comparison, comparison.baseline_value, comparison.baseline_interval, "onnxruntime"
    )


def _accuracy(
    comparison: Comparison, value: float | None, ends: Interval | None, runner: str
) -> AccuracyFigure | None:
    if comparison.metric is None or value is None:
        return None
    low, high = ends if ends is not None else (None, None)
    return AccuracyFigure(comparison.metric, value, low, high, comparison.samples, runner)


def retention_figure(comparison: Comparison) -> RetentionFigure:
    """What is left of the baseline, as the report shows it."""
    kept = comparison.retention
    return RetentionFigure(
        metric=comparison.metric,
        value=kept.value if kept else None,
        low=kept.low if kept else None,
        high=kept.high if kept else None,
        samples=comparison.samples,
        agreement=comparison.agreement,
        sqnr_db=comparison.sqnr_db,
        outputs=comparison.outputs,
        difference=kept.difference if kept else None,
        difference_low=kept.difference_low if kept else None,
        difference_high=kept.difference_high if kept else None,
        mcnemar=comparison.mcnemar,
    )


def example_documents(comparison: Comparison, samples: Samples) -> dict[str, Any]:
    """Which samples changed, and the worst with their labels and predictions; {} without labels.

    An ``image`` of each is for pages only; the JSON document leaves it out.
    """
    changes = comparison.changes
    if changes is None:
        return {}
    worst = [
        {"sample": samples.name(one.index), **asdict(one), "image": _image(samples, one.index)}
        for one in changes.worst
    ]
    return {"lost": list(changes.lost), "gained": list(changes.gained), "worst": worst}


def _image(samples: Samples, index: int) -> str | None:
    pixels = samples.picture(index)
    return None if pixels is None else picture_uri(pixels)


def quantization_figure(quantized: QuantizeResult) -> QuantizationFigure:
    """How a model was quantized."""
    plan = quantized.plan
    tried = (
        TradeoffFigure(len(one.floating), one.cycles_ratio, one.sqnr_db, one.size_ratio)
        for one in plan.tradeoffs
    )
    return QuantizationFigure(
        plan.method,
        plan.held_out,
        plan.candidates,
        len(plan.high_precision),
        tuple(tried),
        plan.metric or None,
        plan.scores,
        plan.chosen_by,
        plan.high_precision_dtype,
    )


def latency_figures(conversion: Conversion) -> tuple[LatencyFigure, ...]:
    """The NPU estimate of a conversion; cycles are known even where milliseconds are not."""
    one = conversion.latency
    if one is None:
        return ()
    return (LatencyFigure(one.kind, one.ms, one.low, one.high, one.cycles),)


def compiled_row(stage: str, conversion: Conversion, parameters: int, macs: int) -> ModelRow:
    """The row of a model that was only compiled to be compared with."""
    return ModelRow(
        stage=stage,
        path=None,
        bytes=conversion.bytes,
        parameters=parameters,
        macs=macs,
        latency=latency_figures(conversion),
    )


def gate_figures(gates: Gates, comparison: Comparison, row: ModelRow) -> tuple[GateFigure, ...]:
    """Every gate that was asked for. Raises OptionError when one cannot be checked."""
    checked: list[Gate] = []
    if gates.min_retention is not None:
        checked.append(
            min_retention_gate(comparison.retention, gates.min_retention, gates.confidence)
        )
    if gates.max_latency_ms is not None:
        latency = row.latency[0].ms if row.latency else None
        checked.append(max_latency_gate(latency, gates.max_latency_ms))
    if gates.max_size_mb is not None:
        checked.append(max_size_gate(row.bytes, gates.max_size_mb))
    return tuple(GateFigure(**asdict(gate)) for gate in checked)


def ratio(part: float | None, whole: float | None) -> float | None:
    """part / whole, or None when either is unknown or nothing."""
    return part / whole if part is not None and whole else None


def ratios_of(result: ModelRow, reference: ModelRow | None) -> dict[str, float | None]:
    """Size, latency, cycles and MACs of a result over those of a reference."""
    if reference is None:
        return dict.fromkeys(("size", "latency", "cycles", "macs"))
    ms = [row.latency[0].ms if row.latency else None for row in (result, reference)]
    return {
        "size": ratio(result.bytes, reference.bytes),
        "latency": ratio(*ms),
        "cycles": ratio(result.cycles, reference.cycles),
        "macs": ratio(result.macs, reference.macs),
    }


def recipe_notices(preprocessing: Preprocessing) -> tuple[Diagnostic, ...]:
    """Warnings that the options alone give."""
    text = suspicious_scale(preprocessing.mean, preprocessing.std)
    return (
        (
            Diagnostic(
                "preprocess-scale", text, f"give {option('mean')} and {option('std')} in 0..255"
            ),
        )
        if text
        else ()
    )


def result_notices(
    conversion: Conversion | None, comparison: Comparison, gates: Gates
) -> tuple[Diagnostic, ...]:
    """Warnings that the results give: the toolkit's own, doubtful similarity, too few samples."""
    notices: list[Diagnostic] = []
    if conversion is not None:
        notices += conversion.warnings
    if comparison.metric is None and comparison.sqnr_db < _LEAST_SQNR_DB:
        text = f"the outputs are far from the baseline's: SQNR {comparison.sqnr_db:.1f} dB"
        hint = (
            f"measure with labelled samples ({option('eval')}), and check that the samples are "
            "typical"
        )
        notices.append(Diagnostic("retention-low-similarity", text, hint))
    if comparison.retention is not None and gates.min_retention is not None:
        text_or_none = too_few_samples(comparison.retention, gates.min_retention)
        if text_or_none:
            notices.append(
                Diagnostic(
                    "retention-too-few-samples", text_or_none, f"give more with {option('eval')}"
                )
            )
    return tuple(notices)


def layer_documents(conversion: Conversion) -> tuple[dict[str, Any], ...]:
    """The compiler's layer table as plain values, with each layer's part of the estimate."""
    costs = layer_costs(conversion.layers, find_target(conversion.target))
    return tuple(
        {**asdict(layer), **asdict(cost)}
        for layer, cost in zip(conversion.layers, costs, strict=True)
    )


def layer_costs_of(conversion: Conversion) -> tuple[dict[str, Any], ...]:
    """What each layer of a model that is only compared with takes, by its name."""
    return tuple(
        {name: layer[name] for name in ("name", "total_cycles", "ms")}
        for layer in layer_documents(conversion)
    )


def pruning_figure(
    result: PruneResult, cycles: float | None, macs: float | None, parameters: float | None
) -> PruningFigure:
    """What pruning did, for the report; the ratios are pruned over unpruned."""
    return PruningFigure(
        cycles_ratio=cycles,
        macs_ratio=macs,
        parameters_ratio=parameters,
        budget=result.budget.kind if result.budget else None,
        predicted_ratio=result.cost_after / result.cost_before if result.budget else None,
        measure=result.measure,
        curve=tuple(map(asdict, result.curve)),
        groups=tuple(map(asdict, result.groups)),
        blocks=tuple(map(asdict, result.blocks)),
        attempts=tuple(map(asdict, result.attempts)),
        choice=asdict(result.choice) if result.choice else None,
        distillation=asdict(result.distillation) if result.distillation else None,
        sparsity=asdict(result.sparsity) if result.sparsity else None,
    )
