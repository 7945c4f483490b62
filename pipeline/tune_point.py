"""A trial of a search as its report has it."""

from __future__ import annotations

from typing import Literal

from ..core.results.tune_report import RetentionRange, TunePoint
from .search.points import Failure, Measure, Outcome, Trial

_STAGES: tuple[Literal["predicted", "few samples", "all samples"], ...] = (
    "predicted",
    "few samples",
    "all samples",
)


def tune_point(trial: Trial, unseen: Outcome | None, *, is_on_front: bool) -> TunePoint:
    """Return what a trial came to; ``unseen`` is what it gave on samples kept from the search."""
    measure = trial.measure
    return TunePoint(
        number=trial.number,
        settings=dict(trial.point.settings),
        stage=_stage_of(trial),
        cost=None if measure is None else measure.cost,
        retention=range_of(measure),
        unseen=range_of(unseen),
        figures={} if measure is None else measure.figures,
        set_aside=trial.set_aside,
        failure=trial.failure or _failed_unseen(unseen),
        folder=f"points/{trial.point.digest}" if is_on_front else None,
    )


def _stage_of(trial: Trial) -> Literal["predicted", "few samples", "all samples"]:
    """Return the last stage that measured what is retained; before it a point is predicted."""
    measured = [rung for rung, outcome in enumerate(trial.outcomes) if range_of(outcome)]
    return _STAGES[max(measured, default=0)]


def _failed_unseen(outcome: Outcome | None) -> str:
    return f"on unseen samples: {outcome.reason}" if isinstance(outcome, Failure) else ""


def range_of(measure: Outcome | None) -> RetentionRange | None:
    """Return what was retained, None where nothing was measured."""
    if not isinstance(measure, Measure) or measure.retention is None:
        return None
    return RetentionRange(measure.retention, measure.low, measure.high)
