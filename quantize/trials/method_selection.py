"""Which candidate is best: by the task's metric where that can tell them apart, else by SQNR.

SQNR is compared sample by sample. Over all samples together two or three hard ones may hold nearly
all the noise: of 20 lines of text, two had 99 % of it, and which method did best on these said
nothing about 200 others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from ...core.types import Array
from ..rendering.plan import SQNR, Plan

# paired differences within so many of their standard errors are chance, in 95 of 100 cases
_STANDARD_ERRORS = 2.0
_MOST_DB = 100.0


@dataclass(frozen=True)
class TaskMetric:
    """``score(index, outputs)`` is the value of one held-out sample, whose mean is the metric."""

    name: str
    score: Callable[[int, Sequence[Array]], float]
    lower_is_better: bool = False


@dataclass(frozen=True)
class MethodTrial:
    """A candidate on the held-out samples: SQNR in dB over all, and of each sample.

    ``each_db`` is measured before a last Softmax or Sigmoid, see Logits. ``scores`` has the metric
    of each sample, if there is one. One whose outputs are not all finite is not ``is_finite``.
    """

    sqnr_db: float
    each_db: tuple[float, ...]
    scores: tuple[float, ...] = ()
    is_finite: bool = True


@dataclass(frozen=True)
class Verdict:
    """The ``best`` candidate, and what decided: ``sqnr`` or the metric's name."""

    best: str
    chosen_by: str


def verdict_on(trials: Mapping[str, MethodTrial], metric: TaskMetric | None = None) -> Verdict:
    """Return the first candidate, unless a later one is better by more than chance; and so on.

    Better is a higher SQNR in the mean over the samples, the mean of the paired differences being
    more than two standard errors above 0. With a metric, candidates that are worse than its best
    one by as much are out before that. One that is not finite loses to all that are.

    >>> first = MethodTrial(20.0, (19.0, 20.0, 21.0, 19.5), (1.0, 0.0, 1.0, 1.0))
    >>> like_it = MethodTrial(20.5, (23.0, 18.0, 23.5, 18.5), (1.0, 1.0, 0.0, 1.0))
    >>> better = MethodTrial(22.0, (21.5, 22.0, 23.0, 22.0), (0.0, 0.0, 0.0, 0.0))
    >>> verdict_on({"a": first, "b": like_it})
    Verdict(best='a', chosen_by='sqnr')
    >>> verdict_on({"a": first, "b": like_it, "c": better})
    Verdict(best='c', chosen_by='sqnr')
    >>> top1 = TaskMetric("top1", lambda index, outputs: 1.0)
    >>> verdict_on({"a": first, "b": like_it, "c": better}, top1)
    Verdict(best='a', chosen_by='top1')
    """
    trials = {name: trial for name, trial in trials.items() if trial.is_finite} or trials
    nearest = _nearest(trials)
    if metric is None:
        return Verdict(nearest, SQNR)
    sign = -1 if metric.lower_is_better else 1
    scores = {name: sign * np.array(trial.scores) for name, trial in trials.items()}
    leader = max(trials, key=lambda name: (scores[name].mean(), trials[name].sqnr_db))
    equal = {
        name: trial
        for name, trial in trials.items()
        if not _is_higher(scores[leader], scores[name])
    }
    best = _nearest(equal)
    return Verdict(best, SQNR if best == nearest else metric.name)


def _nearest(trials: Mapping[str, MethodTrial]) -> str:
    best, *others = trials
    for name in others:
        if _is_higher(_bounded(trials[name].each_db), _bounded(trials[best].each_db)):
            best = name
    return best


def mean_db(each_db: Sequence[float]) -> float:
    """Return the mean by which candidates are compared, of the SQNR of each sample in dB.

    >>> mean_db([20.0, float("inf")])
    60.0
    """
    return float(_bounded(each_db).mean())


def _bounded(each_db: Sequence[float]) -> Array:
    """Return the SQNR of each sample; finite too where it is exact, or broken altogether."""
    return np.clip(np.array(each_db), -_MOST_DB, _MOST_DB)


def _is_higher(values: Array, others: Array) -> bool:
    """Return whether values are higher than those of the same samples by more than chance."""
    differences = values - others
    if len(differences) < 2:
        return bool(differences.mean() > 0)
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    return bool(differences.mean() > _STANDARD_ERRORS * error)


def selected(
    plan: Plan, trials: Mapping[str, MethodTrial], verdict: Verdict, metric: TaskMetric | None
) -> Plan:
    """Return the plan of the best candidate, with the trials that it came out of."""
    return replace(
        plan,
        held_out=len(trials[verdict.best].each_db),
        candidates={name: trial.sqnr_db for name, trial in trials.items()},
        metric=metric.name if metric else "",
        scores={name: fmean(trial.scores) for name, trial in trials.items() if trial.scores},
        chosen_by=verdict.chosen_by,
    )
