"""From the results of the stages to the figures of the report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from ...accuracy.compare import Comparison
from ...accuracy.gates import (
    max_latency_gate,
    max_size_gate,
    min_retention_gate,
    standing_gates,
)
from ...calibration_data.images.pictures import LONGEST, picture_uri
from ...calibration_data.samples import Samples
from ...core.results.differences import Difference
from ...core.results.model_figures import (
    AccuracyFigure,
    LatencyFigure,
    ModelRow,
    RetentionFigure,
)
from ...core.results.predictions import Prediction
from ...core.results.report import GateFigure
from ...core.results.sample_rows import ChangedSample, ChangedSamples
from ...report.drawing.task_drawings import drawn_small
from ..options.check_options import Gates

# what the result says of a sample, and how that differs from the original
Predicted: TypeAlias = tuple[Prediction, Difference]

_DRAWN = 2 * LONGEST  # pixels of the longer side of a picture with letters in it


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
    said: Sequence[Predicted | None] = comparison.predictions or [None] * len(changes.worst)
    worst = map(partial(_with_picture, samples), changes.worst, said)
    return replace(changes, worst=tuple(worst))


def _with_picture(samples: Samples, sample: ChangedSample, said: Predicted | None) -> ChangedSample:
    """Return the sample by its name, with a picture that shows what the models say where it can."""
    sample = replace(sample, sample=samples.name(sample.index))
    pixels = samples.picture(sample.index)
    if pixels is None:
        return sample
    drawn = drawn_small(pixels, *said, _DRAWN) if said else None
    if drawn is not None:
        return replace(sample, image=picture_uri(drawn, _DRAWN), is_drawn=True)
    return replace(sample, image=picture_uri(pixels))


def gate_figures(
    gates: Gates, comparison: Comparison, row: ModelRow, *, is_at_chance: bool
) -> tuple[GateFigure, ...]:
    """Return every gate that was asked for, and those that are always on.

    The row's first latency counts, and ``comparison`` is of where its accuracy was measured.
    There is no retention of a baseline that ``is_at_chance``, nor of a result that is not finite.
    Raises OptionError when a gate that was asked for cannot be checked.
    """
    checked: list[GateFigure] = []
    finite = all(part.finite for part in comparison.parts)
    latency = row.latency[0] if row.latency else LatencyFigure("host", None)
    kind = "board" if latency.kind == "board" else None
    if gates.min_retention is not None and (is_at_chance or not finite):
        checked.append(
            GateFigure("min-retention", gates.min_retention, math.nan, passed=False, kind=kind)
        )
    elif gates.min_retention is not None:
        checked.append(
            min_retention_gate(comparison.retention, gates.min_retention, gates.confidence, kind)
        )
    if gates.max_latency_ms is not None:
        limit, confidence = gates.max_latency_ms, gates.confidence
        checked.append(max_latency_gate(latency.ms, limit, confidence, latency.high, latency.kind))
    if gates.max_size_mb is not None:
        checked.append(max_size_gate(row.bytes, gates.max_size_mb))
    return (*checked, *standing_gates(comparison.parts))
