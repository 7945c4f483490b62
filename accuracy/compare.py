"""Compare the outputs of a baseline and of a candidate on the same samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..calibration_data.sources.labels import Labels
from ..core.errors import ModelError, SamplesError
from ..core.graphs.output_parts import OutputPart
from ..core.proportion import Interval
from ..core.results.differences import Difference
from ..core.results.part_figures import PartFigure, worst_part
from ..core.results.predictions import Prediction
from ..core.results.sample_rows import ChangedSample, ChangedSamples
from ..core.streaming.part_similarity import compared
from ..core.types import Array
from .metrics.measurement import Measurement
from .metrics.metric import Listing, Metric, Predictions
from .metrics.metric_table import BoundMetric, bind_metric
from .prediction_difference import difference_of

if TYPE_CHECKING:
    from .retention import Retention

# so many of the worst are described
WORST = 20


@dataclass(frozen=True)
class Comparison:
    """A candidate beside its baseline. Metric, values and retention are None without labels.

    ``agreement`` is the share of samples for which both predict the same, None where that says
    nothing. ``sqnr_db`` is that of the worst of the ``parts``, ``inf`` when all are equal; where
    one of them is not finite, nothing else is measured. ``mcnemar`` is the p-value of both models
    being right equally often, None where scores are more than right or wrong. ``outputs`` names
    what the metric reads, () for all outputs. ``predictions`` are the candidate's for the
    worst samples, and how they differ from the baseline's, where they can be drawn.
    """

    metric: str | None
    baseline_value: float | None
    candidate_value: float | None
    retention: Retention | None
    agreement: float | None
    sqnr_db: float
    samples: int
    baseline_interval: Interval | None = None
    candidate_interval: Interval | None = None
    mcnemar: float | None = None
    changes: ChangedSamples | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    parts: tuple[PartFigure, ...] = ()
    predictions: tuple[tuple[Prediction, Difference], ...] = field(default=(), repr=False)


def compare(
    baseline_outputs: Sequence[Array],
    candidate_outputs: Sequence[Array],
    labels: Labels | None,
    scoring: BoundMetric | str = "top1",
    seed: int = 0,
    parts: Sequence[OutputPart] = (),
) -> Comparison:
    """Return the metric of both models, retention, agreement and SQNR, from outputs (N, ...) each.

    Outputs may differ in axes of length 1. Each of the ``parts``, by default the outputs, is judged
    on its own. Without ``labels`` only agreement and SQNR are given; they are no accuracy. Raises
    ModelError for NaN in the baseline or for outputs that do not correspond, SamplesError or
    OptionError when the metric does not fit outputs or labels.
    """
    if isinstance(scoring, str):
        scoring = bind_metric(scoring)
    candidate = _matched(baseline_outputs, candidate_outputs)
    _require_numbers(baseline_outputs)
    figures = compared(parts, baseline_outputs, candidate)
    noise, metric = worst_part(figures).sqnr_db, scoring.metric
    if not all(figure.finite for figure in figures):
        samples = len(candidate[0])
        return Comparison(None, None, None, None, None, noise, samples, parts=figures)
    read = scoring.read(baseline_outputs), scoring.read(candidate)
    count = len(read[0][0])
    if labels is None and not metric.fits(read[0]):
        return Comparison(None, None, None, None, None, noise, count, parts=figures)
    itself = candidate_outputs is baseline_outputs
    first = metric.predict(read[0])
    predictions = first, first if itself else metric.predict(read[1])
    agreed = metric.agreement(*predictions)
    if labels is None:
        return Comparison(None, None, None, None, agreed, noise, count, parts=figures)
    if len(labels) != count:
        raise SamplesError(
            f"{len(labels)} labels for the outputs of {count} samples", "give one label a sample"
        )
    # a comparison without labels, as quantize makes it, needs none of this
    from .confidence.proportions import sign_test
    from .retention import pairs_of, retention_and_intervals

    base = metric.measure(first, labels)
    measured = base, base if itself else metric.measure(predictions[1], labels)
    retained, intervals = retention_and_intervals(
        *measured, lower_is_better=metric.lower_is_better, perfect=metric.perfect, seed=seed
    )
    pairs = pairs_of(*measured)
    changes = changes_of(metric, measured, predictions, labels)
    return Comparison(
        metric=metric.name,
        baseline_value=measured[0].value,
        candidate_value=measured[1].value,
        retention=retained,
        agreement=agreed,
        sqnr_db=noise,
        samples=count,
        baseline_interval=intervals[0],
        candidate_interval=intervals[1],
        mcnemar=sign_test(pairs.first, pairs.second) if pairs else None,
        changes=changes,
        details=metric.details(*predictions, labels),
        outputs=scoring.names,
        parts=figures,
        predictions=_drawable(metric, predictions, changes, labels),
    )


def _drawable(
    metric: Metric,
    predictions: tuple[Predictions, Predictions],
    changes: ChangedSamples,
    labels: Labels,
) -> tuple[tuple[Prediction, Difference], ...]:
    """Return what is said of the worst samples, and what differs; () where it is of no task."""
    listing = Listing(metric.class_names(labels), nearly=True)
    pairs = []
    for sample in changes.worst:
        first, second = (metric.plain(each[sample.index], listing) for each in predictions)
        if first is None or second is None:
            return ()
        pairs.append((second, difference_of(first, second, metric.shown_from)))
    return tuple(pairs)


def changes_of(
    metric: Metric,
    measured: tuple[Measurement, Measurement],
    predictions: tuple[Predictions, Predictions],
    labels: Labels,
) -> ChangedSamples:
    """Return what changed from a baseline's scores to a candidate's; ties are in sample order.

    The samples are named by their indices, as their own names are not known here.
    """
    change = measured[1].scores - measured[0].scores
    if metric.lower_is_better:
        change = -change
    lost, gained = np.flatnonzero(change < 0), np.flatnonzero(change > 0)
    order = lost[np.argsort(change[lost], kind="stable")][:WORST]
    examples = tuple(
        ChangedSample(
            str(index),
            index,
            metric.truth(labels, index),
            metric.shown(predictions[0][index], labels),
            metric.shown(predictions[1][index], labels),
            float(measured[0].scores[index]),
            float(measured[1].scores[index]),
        )
        for index in map(int, order)
    )
    return ChangedSamples(tuple(map(int, lost)), tuple(map(int, gained)), examples)


def _matched(baseline: Sequence[Array], candidate: Sequence[Array]) -> list[Array]:
    """Return the candidate's outputs in the baseline's shapes."""
    if not baseline or len(baseline) != len(candidate):
        raise ModelError(
            f"the baseline has {len(baseline)} outputs and the candidate {len(candidate)}",
            "compare two forms of one model",
        )
    return [
        _reshaped(ref, cand, index)
        for index, (ref, cand) in enumerate(zip(baseline, candidate, strict=True))
    ]


def _reshaped(reference: Array, candidate: Array, index: int) -> Array:
    if reference.shape[:1] != candidate.shape[:1] or 0 in reference.shape:
        raise SamplesError(
            f"output {index}: shape {reference.shape} of the baseline, {candidate.shape} of the "
            "candidate; the first axis is the sample",
            "run both models on the same samples, at least one",
        )
    # a runner may add or drop axes of length 1, but a transposed output must not pass
    if _long_axes(reference) != _long_axes(candidate):
        raise ModelError(
            f"output {index} has the shape {reference.shape[1:]} in the baseline "
            f"and {candidate.shape[1:]} in the candidate",
            "compare two forms of one model, with the same outputs",
        )
    return candidate.reshape(reference.shape)


def _long_axes(array: Array) -> list[int]:
    return [length for length in array.shape[1:] if length != 1]


def _require_numbers(outputs: Sequence[Array]) -> None:
    for index, output in enumerate(outputs):
        if output.dtype.kind != "f":
            continue
        bad = np.flatnonzero([bool(np.isnan(row).any()) for row in output])
        if len(bad):
            raise ModelError(
                f"the baseline model gives NaN in output {index} for {len(bad)} of {len(output)} "
                f"samples, first for sample {bad[0]}",
                "check the model on that sample; float16 overflows above 65504",
            )
