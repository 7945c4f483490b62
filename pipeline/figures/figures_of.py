"""From the results of the stages to the figures of the report."""

from __future__ import annotations

import math
from dataclasses import replace

from ...accuracy.compare import Comparison
from ...accuracy.gates import (
    max_latency_gate,
    max_size_gate,
    min_retention_gate,
    standing_gates,
)
from ...calibration_data.images.pictures import picture_uri
from ...calibration_data.samples import Samples
from ...core.results.model_figures import (
    AccuracyFigure,
    LatencyFigure,
    ModelRow,
    RetentionFigure,
)
from ...core.results.report import GateFigure
from ...core.results.sample_rows import ChangedSamples
from ..options.check_options import Gates


def accuracy_figure(comparison: Comparison, runner: str) -> AccuracyFigure | None:
    """Return the candidate's accuracy with its 95 % interval, or None without labels."""
    value = comparison.candidate_value
    if comparison.metric is None or value is None:
        return None
    low, high = comparison.candidate_interval or (None, None)
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
    worst = []
    for sample in changes.worst:
        pixels = samples.picture(sample.index)
        image = None if pixels is None else picture_uri(pixels)
        worst.append(replace(sample, sample=samples.name(sample.index), image=image))
    return replace(changes, worst=tuple(worst))


def gate_figures(
    gates: Gates, comparison: Comparison, row: ModelRow, *, is_at_chance: bool
) -> tuple[GateFigure, ...]:
    """Return every gate that was asked for, and those that are always on.

    There is no retention of a baseline that ``is_at_chance``, nor of a result that is not finite.
    Raises OptionError when a gate that was asked for cannot be checked.
    """
    checked: list[GateFigure] = []
    finite = all(part.finite for part in comparison.parts)
    if gates.min_retention is not None and (is_at_chance or not finite):
        checked.append(GateFigure("min-retention", gates.min_retention, math.nan, passed=False))
    elif gates.min_retention is not None:
        checked.append(
            min_retention_gate(comparison.retention, gates.min_retention, gates.confidence)
        )
    if gates.max_latency_ms is not None:
        latency = row.latency[0] if row.latency else LatencyFigure("host", None)
        limit, confidence = gates.max_latency_ms, gates.confidence
        checked.append(max_latency_gate(latency.ms, limit, confidence, latency.high, latency.kind))
    if gates.max_size_mb is not None:
        checked.append(max_size_gate(row.bytes, gates.max_size_mb))
    return (*checked, *standing_gates(comparison.parts))
