"""Which candidate is kept: by the task's metric where that can tell them apart, else by SQNR."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.graph import Array

SQNR = "sqnr"
# paired differences within so many of their standard errors are chance, in 95 of 100 cases
_STANDARD_ERRORS = 2.0


@dataclass(frozen=True)
class TaskMetric:
    """``score(index, outputs)`` is the value of one held-out sample, whose mean is the metric."""

    name: str
    score: Callable[[int, Sequence[Array]], float]
    lower_is_better: bool = False


@dataclass(frozen=True)
class Trial:
    """A candidate on the held-out samples: SQNR in dB, and the metric of each sample, if any."""

    sqnr_db: float
    scores: tuple[float, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """The candidate that is kept, and whether ``sqnr`` or the metric of that name decided so."""

    best: str
    chosen_by: str


def verdict_on(trials: Mapping[str, Trial], metric: TaskMetric | None = None) -> Verdict:
    """Of those that the metric cannot tell from its best, the one with the highest SQNR.

    A candidate is worse than the best when the mean of its paired differences is more than two
    standard errors below 0. A few samples that flip either way are chance, and SQNR sees them all.

    >>> close = Trial(20.0, (1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0))
    >>> far = Trial(22.0, (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    >>> verdict_on({"a": far, "b": close}, TaskMetric("top1", lambda index, outputs: 1.0))
    Verdict(best='b', chosen_by='top1')
    >>> verdict_on({"a": far, "b": close})
    Verdict(best='a', chosen_by='sqnr')
    """
    nearest = _of_highest_sqnr(trials)
    if metric is None:
        return Verdict(nearest, SQNR)
    sign = -1 if metric.lower_is_better else 1
    scores = {name: sign * np.array(trial.scores) for name, trial in trials.items()}
    leader = max(trials, key=lambda name: (scores[name].mean(), trials[name].sqnr_db))
    equal = {
        name: trial
        for name, trial in trials.items()
        if not _is_worse(scores[name] - scores[leader])
    }
    best = _of_highest_sqnr(equal)
    return Verdict(best, SQNR if best == nearest else metric.name)


def _of_highest_sqnr(trials: Mapping[str, Trial]) -> str:
    return max(trials, key=lambda name: trials[name].sqnr_db)  # the first of equal ones


def _is_worse(differences: Array) -> bool:
    """Whether paired differences (samples,) are below 0 by more than chance."""
    count = len(differences)
    if count < 2:
        return False
    error = differences.std(ddof=1) / np.sqrt(count)
    return bool(differences.mean() < -_STANDARD_ERRORS * error)
