"""Accuracy over time: which results can be held against each other, and which no other beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .compared_result import ComparedResult


@dataclass(frozen=True)
class TradedResult:
    """A result by its milliseconds and its accuracy."""

    result: ComparedResult
    ms: float
    accuracy: float


def has_same_measure(first: ComparedResult, second: ComparedResult) -> bool:
    """Return whether the accuracies are of one metric on the same samples."""
    before, after = first.accuracy, second.accuracy
    return (
        before is not None
        and after is not None
        and (before.metric, before.samples) == (after.metric, after.samples)
        and first.samples == second.samples
    )


def traded(results: Sequence[ComparedResult]) -> list[TradedResult]:
    """Return those that have both figures, and are measured and timed as the first of them is."""
    points = [
        TradedResult(result, result.ms, result.accuracy.value)
        for result in results
        if result.ms is not None and result.accuracy is not None
    ]
    return [point for point in points if _is_alike(points[0].result, point.result)]


def pareto_front(results: Sequence[ComparedResult]) -> tuple[str, ...]:
    """Return the names of those that no other is as fast and as accurate as, and better in one."""
    sign = -1.0 if is_less_better(results) else 1.0
    points = [(point.ms, sign * point.accuracy, point.result.name) for point in traded(results)]
    return tuple(
        name
        for ms, accuracy, name in points
        if not any(
            fast <= ms and good >= accuracy and (fast, good) != (ms, accuracy)
            for fast, good, _ in points
        )
    )


def is_less_better(results: Sequence[ComparedResult]) -> bool:
    """Return whether less of the metric is better, such as of an error rate.

    A report does not say it, but a result that has more of it than its original and retains less
    does.
    """
    retentions = [result.retention for result in results if result.retention is not None]
    return any(
        figure.value is not None and (figure.value - 1) * (figure.difference or 0.0) < 0
        for figure in retentions
    )


def _is_alike(first: ComparedResult, second: ComparedResult) -> bool:
    kinds = {each.latency.kind for each in (first, second) if each.latency}
    return has_same_measure(first, second) and len(kinds) == 1
