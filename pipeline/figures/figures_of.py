"""From the results of the stages to the figures of the report."""

from __future__ import annotations

from dataclasses import asdict

from ...accuracy.compare import Comparison
from ...accuracy.confidence.proportions import Interval
from ...accuracy.gates import max_latency_gate, max_size_gate, min_retention_gate
from ...accuracy.retention import too_few_samples
from ...calibration_data.images.pictures import picture_uri
from ...calibration_data.preprocess import suspicious_scale
from ...calibration_data.preprocessing import Preprocessing
from ...calibration_data.samples import Samples
from ...convert.chips.latency import layer_costs
from ...convert.chips.targets import find_target
from ...convert.convert import Conversion
from ...core.diagnostics import Diagnostic, option
from ...core.results.layer_rows import LayerRow, LayerTime
from ...core.results.model_figures import (
    AccuracyFigure,
    LatencyFigure,
    ModelRow,
    Ratios,
    RetentionFigure,
)
from ...core.results.pruning_figures import PruningFigure
from ...core.results.report import GateFigure
from ...core.results.sample_rows import ChangedSample, ChangedSamples
from ...prune.results.prune_result import PruneResult
from ..options.check_options import Gates

# Below this an output is mostly noise; without labels nothing else in the report would say so.
_LEAST_SQNR_DB = 15.0


def accuracy_figure(comparison: Comparison, runner: str) -> AccuracyFigure | None:
    """Return the candidate's accuracy with its 95 % interval, or None without labels."""
    return _accuracy(comparison, comparison.candidate_value, comparison.candidate_interval, runner)


def baseline_accuracy(comparison: Comparison) -> AccuracyFigure | None:
    """Return the baseline's accuracy with its 95 % interval, or None without labels."""
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
    """Return what is left of the baseline, as the report shows it."""
    retention = comparison.retention
    return RetentionFigure(
        metric=comparison.metric,
        value=retention.value if retention else None,
        low=retention.low if retention else None,
        high=retention.high if retention else None,
        samples=comparison.samples,
        agreement=comparison.agreement,
        sqnr_db=comparison.sqnr_db,
        outputs=comparison.outputs,
        difference=retention.difference if retention else None,
        difference_low=retention.difference_low if retention else None,
        difference_high=retention.difference_high if retention else None,
        mcnemar=comparison.mcnemar,
    )


def changed_samples(comparison: Comparison, samples: Samples) -> ChangedSamples | None:
    """Return which samples changed, and the worst with a picture; None without labels."""
    changes = comparison.changes
    if changes is None:
        return None
    worst = (
        ChangedSample(
            samples.name(example.index), **asdict(example), image=_image(samples, example.index)
        )
        for example in changes.worst
    )
    return ChangedSamples(changes.lost, changes.gained, tuple(worst))


def _image(samples: Samples, index: int) -> str | None:
    pixels = samples.picture(index)
    return None if pixels is None else picture_uri(pixels)


def latency_figures(conversion: Conversion) -> tuple[LatencyFigure, ...]:
    """Return the NPU estimate of a conversion: cycles even where there are no milliseconds."""
    latency = conversion.latency
    return () if latency is None else (LatencyFigure(**asdict(latency)),)


def compiled_row(stage: str, conversion: Conversion, parameters: int, macs: int) -> ModelRow:
    """Return the row of a model that was only compiled to be compared with."""
    return ModelRow(
        stage=stage,
        path=None,
        bytes=conversion.bytes,
        parameters=parameters,
        macs=macs,
        latency=latency_figures(conversion),
    )


def gate_figures(gates: Gates, comparison: Comparison, row: ModelRow) -> tuple[GateFigure, ...]:
    """Return every gate that was asked for. Raises OptionError when one cannot be checked."""
    checked: list[GateFigure] = []
    if gates.min_retention is not None:
        checked.append(
            min_retention_gate(comparison.retention, gates.min_retention, gates.confidence)
        )
    if gates.max_latency_ms is not None:
        latency = row.latency[0].ms if row.latency else None
        checked.append(max_latency_gate(latency, gates.max_latency_ms))
    if gates.max_size_mb is not None:
        checked.append(max_size_gate(row.bytes, gates.max_size_mb))
    return tuple(checked)


def ratio(part: float | None, whole: float | None) -> float | None:
    """Return part / whole, or None when either is unknown or nothing."""
    return part / whole if part is not None and whole else None


def ratios_of(result: ModelRow, reference: ModelRow | None) -> Ratios:
    """Return size, latency, cycles and MACs of a result over those of a reference."""
    if reference is None:
        return Ratios()
    ms = [row.latency[0].ms if row.latency else None for row in (result, reference)]
    return Ratios(
        size=ratio(result.bytes, reference.bytes),
        latency=ratio(*ms),
        cycles=ratio(result.cycles, reference.cycles),
        macs=ratio(result.macs, reference.macs),
    )


def recipe_notices(preprocessing: Preprocessing) -> tuple[Diagnostic, ...]:
    """Return the warnings that the options alone give."""
    text = suspicious_scale(preprocessing.mean, preprocessing.std)
    hint = f"give {option('mean')} and {option('std')} in 0..255"
    return (Diagnostic("preprocess-scale", text, hint),) if text else ()


def result_notices(
    conversion: Conversion | None, comparison: Comparison, gates: Gates
) -> tuple[Diagnostic, ...]:
    """Return the warnings that the results give.

    They are the toolkit's own, of doubtful similarity, and of too few samples.
    """
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
        reason = too_few_samples(comparison.retention, gates.min_retention)
        if reason:
            hint = f"give more with {option('eval')}"
            notices.append(Diagnostic("retention-too-few-samples", reason, hint))
    return tuple(notices)


def layer_rows(conversion: Conversion) -> tuple[LayerRow, ...]:
    """Return the compiler's layer table, with each layer's part of the estimate."""
    costs = layer_costs(conversion.layers, find_target(conversion.target))
    return tuple(
        LayerRow(**asdict(layer), **asdict(cost))
        for layer, cost in zip(conversion.layers, costs, strict=True)
    )


def layer_times(conversion: Conversion) -> tuple[LayerTime, ...]:
    """Return what each layer of a model that is only compared with takes."""
    layers = layer_rows(conversion)
    return tuple(LayerTime(layer.name, layer.total_cycles, layer.ms) for layer in layers)


def pruning_figure(
    result: PruneResult, cycles: float | None, macs: float | None, parameters: float | None
) -> PruningFigure:
    """Return what pruning did; the ratios are pruned over unpruned."""
    return PruningFigure(
        cycles_ratio=cycles,
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
    )
