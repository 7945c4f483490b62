"""Compare the outputs of a baseline and of a candidate on the same samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ModelError, SamplesError
from ..core.similarity import sqnr_db
from .metrics import Labels, agreement, find_metric, score_samples
from .retention import Retention, retention

Array = NDArray[Any]


@dataclass(frozen=True)
class Comparison:
    """What is left of the baseline. Metric, values and retention are None without labels.

    ``agreement`` is the share of samples with the same largest class, None when the first output
    is not (N, classes). ``sqnr_db`` is that of the worst output, ``inf`` when all are equal.
    """

    metric: str | None
    baseline_value: float | None
    candidate_value: float | None
    retention: Retention | None
    agreement: float | None
    sqnr_db: float
    samples: int


def compare(
    baseline_outputs: Sequence[Array],
    candidate_outputs: Sequence[Array],
    labels: Labels | None,
    metric: str = "top1",
    seed: int = 0,
) -> Comparison:
    """Metric of both models, retention, agreement and SQNR, from outputs (N, ...) in one order.

    Outputs may differ in axes of length 1. Without ``labels`` only agreement and SQNR are given;
    they are no accuracy. Raises ModelError for NaN or for outputs that do not correspond,
    SamplesError or OptionError when the metric does not fit outputs or labels.
    """
    candidate = _matched(baseline_outputs, candidate_outputs)
    _check_nan(baseline_outputs, "baseline")
    _check_nan(candidate, "candidate")
    first = baseline_outputs[0]
    agreed = _mean(agreement(first, candidate[0])) if _is_classes(first) else None
    noise = sqnr_db(baseline_outputs, candidate)
    if labels is None:
        return Comparison(None, None, None, None, agreed, noise, len(first))
    measure = find_metric(metric)
    base = score_samples(measure, baseline_outputs, labels)
    cand = score_samples(measure, candidate, labels)
    kept = retention(base, cand, lower_is_better=measure.lower_is_better, seed=seed)
    return Comparison(metric, _mean(base), _mean(cand), kept, agreed, noise, len(first))


def _mean(scores: NDArray[np.float64]) -> float:
    return float(scores.mean())


def _is_classes(output: Array) -> bool:
    """Whether an output (N, ...) has one axis of more than one class."""
    return sum(length > 1 for length in output.shape[1:]) == 1


def _matched(baseline: Sequence[Array], candidate: Sequence[Array]) -> list[Array]:
    """The candidate's outputs in the baseline's shapes."""
    if not baseline or len(baseline) != len(candidate):
        raise ModelError(
            f"the baseline has {len(baseline)} outputs and the candidate {len(candidate)}",
            "compare two forms of one model",
        )
    return [
        _reshaped(ref, cand, place)
        for place, (ref, cand) in enumerate(zip(baseline, candidate, strict=True))
    ]


def _reshaped(reference: Array, candidate: Array, place: int) -> Array:
    if reference.shape[:1] != candidate.shape[:1] or 0 in reference.shape:
        raise SamplesError(
            f"output {place}: shape {reference.shape} of the baseline, {candidate.shape} of the "
            "candidate; the first axis is the sample",
            "run both models on the same samples, at least one",
        )
    # a runner may add or drop axes of length 1, but a transposed output must not pass
    if _long_axes(reference) != _long_axes(candidate):
        raise ModelError(
            f"output {place} has the shape {reference.shape[1:]} in the baseline "
            f"and {candidate.shape[1:]} in the candidate",
            "compare two forms of one model, with the same outputs",
        )
    return candidate.reshape(reference.shape)


def _long_axes(array: Array) -> list[int]:
    return [length for length in array.shape[1:] if length != 1]


def _check_nan(outputs: Sequence[Array], which: str) -> None:
    for place, output in enumerate(outputs):
        if output.dtype.kind != "f":
            continue
        bad = np.flatnonzero([bool(np.isnan(row).any()) for row in output])
        if len(bad):
            raise ModelError(
                f"the {which} model gives NaN in output {place} for {len(bad)} of {len(output)} "
                f"samples, first for sample {bad[0]}",
                "check the model on that sample; float16 overflows above 65504",
            )
