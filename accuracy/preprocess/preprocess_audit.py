"""Is the preprocessing the one that the model was trained with? The float model, labels and trials.

The model runs on some labelled samples as they are fed now, then with one respect changed at a
time: colour order, scale, mean and std, resize, layout. The samples that go worst come first, since
only they can be won, so that right settings cost little more than one pass. A change is believed
when an exact paired test (McNemar's) is sure of it, at 1 % over all that were tried; then the next
respect is looked at with that change made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from ...calibration_data.samples import Samples
from ...calibration_data.sources.labels import Labels
from ...core.graphs.layers import macs_of
from ...core.progress import SILENT, Progress
from ...core.session import Session
from ...core.types import Array
from ..confidence.proportions import sign_test
from ..metrics.classification import TopK
from ..metrics.measurement import Scores
from ..metrics.metric_table import BoundMetric
from ..runners import own_rows
from .chance import chance_score, is_no_better_than_chance
from .preprocess_variants import Variant, original, variants_of

# samples: enough to see a loss of a few per cent, fewer for a model that takes long
MOST, LEAST = 256, 64
_MACS = 5e10  # multiply-accumulates of one pass over the samples; some seconds
_WORST = 32  # samples that every setting is tried on
_FINALISTS = 4  # settings that are tried on all samples
_LEVEL = 0.01  # of all tests of a round together
_SAME = 0.05  # two settings that differ less surely than this are not told apart
_ROUNDS = 3  # respects in which one set of options is wrong at once
_FEW = 32  # below this, samples that are too few to be sure may still point somewhere
_POINTER = 0.2
_NEAR_CHANCE = 0.25  # of what the better setting has above chance


@dataclass(frozen=True)
class Suggestion:
    """A change of the preprocess, as options or (for tensors) in words, and the mean score."""

    change: str
    value: float

    def signed(self, sign: int) -> Suggestion:
        """Return the same in the metric's own direction: ``sign`` -1 where lower is better."""
        return Suggestion(self.change, sign * self.value)


@dataclass(frozen=True)
class PreprocessAudit:
    """The result of an audit. ``better`` is None when nothing is clearly better.

    ``subject`` is the respect in which that differs most: color, scale, mean-std, layout, resize.
    ``equals`` are others that the samples cannot tell from it. ``hint`` is a setting that looks
    better, but that so few samples cannot be sure of. ``at_chance`` says that the scores are what
    labels in any order would give, with which samples and labels as many as these do not;
    ``chance`` is what those give, None where nothing is better or it cannot be told.
    """

    samples: int
    value: float
    at_chance: bool
    subject: str = ""
    better: Suggestion | None = None
    equals: tuple[Suggestion, ...] = ()
    hint: Suggestion | None = None
    chance: float | None = None

    @property
    def is_wrong(self) -> bool:
        """Whether the model cannot be judged as it is fed: near chance, and clearly better else."""
        if self.better is None or self.chance is None:
            return False
        sign = 1 if self.better.value > self.value else -1
        above, possible = self.value - self.chance, self.better.value - self.chance
        return self.at_chance or sign * above < _NEAR_CHANCE * sign * possible


@dataclass(frozen=True, eq=False)
class _Trial:
    variant: Variant
    scores: Scores

    @property
    def suggestion(self) -> Suggestion:
        return Suggestion(self.variant.change, float(self.scores.mean()))


def audit_preprocess(
    model: ModelProto,
    samples: Samples,
    scoring: BoundMetric,
    *,
    seed: int = 0,
    progress: Progress = SILENT,
) -> PreprocessAudit:
    """Compare the preprocess of labelled ``samples`` with what it may have been meant to be.

    Runs on at most MOST samples, seeded and stratified. Raises SamplesError, OptionError or
    ModelError when the model cannot be scored on them as they are.
    """
    chosen = samples.take(_affordable(model, len(samples)), seed)
    auditor = _Auditor(model, scoring, chosen, progress)
    first = _Trial(original(chosen), auditor.scores(original(chosen)))
    at_chance, outputs = auditor.is_at_chance(), auditor.outputs
    current = first
    subjects: list[str] = []  # in which something was changed
    rivals: list[_Trial] = []
    hint: Suggestion | None = None
    for _ in range(_ROUNDS):
        trials = auditor.others(current, first)
        better = [trial for trial in trials if auditor.is_better(trial, current)]
        if not better:
            if current is first and at_chance and trials:
                hint = auditor.pointer(trials, current)
            break
        best, alike = auditor.choose(better)
        rivals = [*auditor.standing(rivals, best, subjects), *alike]
        subjects.append(best.variant.subject)
        current = best
    sign = auditor.sign
    return PreprocessAudit(
        len(chosen),
        first.suggestion.signed(sign).value,
        at_chance,
        next(iter(subjects), ""),
        None if current is first else current.suggestion.signed(sign),
        tuple(rival.suggestion.signed(sign) for rival in rivals),
        hint and hint.signed(sign),
        None if current is first else chance_score(scoring, outputs, _labels_of(first.variant)),
    )


def _affordable(model: ModelProto, count: int) -> int:
    cost = max(macs_of(model), 1)
    return min(count, int(np.clip(_MACS / cost, LEAST, MOST)))


class _Auditor:
    """The model, run with one setting after the other. Scores are the higher the better."""

    def __init__(
        self, model: ModelProto, scoring: BoundMetric, samples: Samples, progress: Progress
    ) -> None:
        self._session = Session(model)
        self._scoring = scoring
        assert samples.labels is not None
        self._labels = samples.labels
        self.outputs: list[Array] = []  # of what was scored last
        self._level = _LEVEL
        self._progress = progress
        self._done = 0
        self.sign = -1 if scoring.metric.lower_is_better else 1

    def scores(self, variant: Variant) -> Scores:
        """Score every sample with this setting, (N,)."""
        rows = [self._outputs_of(variant, index) for index in range(len(self._labels))]
        self.outputs = _stacked(rows)
        return self.sign * self._scoring.scores(self.outputs, _labels_of(variant))

    def is_at_chance(self) -> bool:
        """Tell, right after ``scores``, whether labels in any order would score as high."""
        return is_no_better_than_chance(self._scoring, self.outputs, self._labels)

    def others(self, current: _Trial, first: _Trial) -> list[_Trial]:
        """Try the settings that win on the worst samples on all samples."""
        variants = variants_of(current.variant, first.variant)
        self._level = _LEVEL / max(len(variants), 1)
        worst, share = self._worst(current.scores)
        if not len(worst):
            return []
        wins = self._wins(variants, current.scores, worst)
        least = self._level if len(self._labels) >= _FEW else _POINTER
        order = sorted(range(len(variants)), key=lambda index: -wins[index])[:_FINALISTS]
        able = [index for index in order if sign_test(math.ceil(wins[index] / share), 0) < least]
        return [_Trial(variants[index], self.scores(variants[index])) for index in able]

    def is_better(self, trial: _Trial, other: _Trial) -> bool:
        """Tell whether a trial is surely better than another, however many were tried."""
        wins, losses = _duel(trial.scores, other.scores)
        return wins > losses and sign_test(wins, losses) < self._level

    def choose(self, trials: Sequence[_Trial]) -> tuple[_Trial, list[_Trial]]:
        """Return a best trial and those that cannot be told from it; a guess only when alone."""
        top = max(trials, key=_mean_score)
        alike = [trial for trial in trials if sign_test(*_duel(trial.scores, top.scores)) > _SAME]
        likely = [trial for trial in alike if not trial.variant.guess] or alike
        swapped = [trial for trial in likely if trial.variant.subject == "mean-std"]
        if swapped:  # the very numbers that were given: nothing else is as likely
            return swapped[0], []
        best = max(likely, key=_mean_score)
        return best, [trial for trial in likely if trial is not best]

    def standing(
        self, rivals: Sequence[_Trial], best: _Trial, subjects: Sequence[str]
    ) -> list[_Trial]:
        """Return the rivals of an earlier round that the best of this one does not rule out.

        One in a respect that was changed might win as much with what is changed now.
        """
        return [
            rival
            for rival in rivals
            if rival.variant.subject in subjects or not self.is_better(best, rival)
        ]

    def pointer(self, trials: Sequence[_Trial], current: _Trial) -> Suggestion | None:
        """Return what looks best, though so few samples cannot be sure; None where nothing does."""
        best = max(trials, key=_mean_score)
        wins, losses = _duel(best.scores, current.scores)
        looks = wins > losses and sign_test(wins, losses) < _POINTER
        return best.suggestion if looks else None

    def _worst(self, scores: Scores) -> tuple[NDArray[np.int64], float]:
        """Return the samples that go worst, in their order, and their share of all losers."""
        losers = int((scores < 1).sum()) if isinstance(self._scoring.metric, TopK) else len(scores)
        count = min(losers, _WORST)
        worst = np.argsort(scores, kind="stable")[:count]
        return np.sort(worst), count / max(losers, 1)

    def _wins(
        self, variants: Sequence[Variant], scores: Scores, worst: NDArray[np.int64]
    ) -> list[int]:
        """Count the worst samples on which each setting is better."""
        outputs: list[list[list[Array]]] = [[] for _ in variants]
        for index in worst:  # sample by sample, as an image is decoded once for all
            for rows, variant in zip(outputs, variants, strict=True):
                rows.append(self._outputs_of(variant, int(index)))
        scored = (
            self._scored(_stacked(rows), _labels_of(variant).take(worst))
            for rows, variant in zip(outputs, variants, strict=True)
        )
        return [int((better > scores[worst]).sum()) for better in scored]

    def _scored(self, outputs: list[Array], labels: Labels) -> Scores:
        if any(output.dtype.kind == "f" and np.isnan(output).any() for output in outputs):
            return np.full(len(labels), -np.inf)
        return self.sign * self._scoring.scores(outputs, labels)

    def _outputs_of(self, variant: Variant, index: int) -> list[Array]:
        self._done += 1
        self._progress.step("try the preprocessing", self._done)
        return own_rows(self._session.run(variant.samples.feeds(index)), variant.samples)


def _labels_of(variant: Variant) -> Labels:
    """Return the labels for a setting: boxes and masks go the way of their images."""
    labels = variant.samples.labels
    assert labels is not None
    return labels


def _mean_score(trial: _Trial) -> float:
    return float(trial.scores.mean())


def _duel(scores: Scores, others: Scores) -> tuple[int, int]:
    """Count the samples with a higher and with a lower score."""
    return int((scores > others).sum()), int((scores < others).sum())


def _stacked(rows: Sequence[Sequence[Array]]) -> list[Array]:
    """Return one array (N, ...) for each output, from the outputs of single samples."""
    return [np.stack(column) for column in zip(*rows, strict=True)]
