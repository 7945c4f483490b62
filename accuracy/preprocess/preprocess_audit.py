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
from ..metrics.metric_table import Scoring
from .permutation_test import is_no_better_than_chance
from .preprocess_variants import Variant, original, variants_of

# Samples: as many as see a loss of a few per cent, fewer for a model that takes long.
MOST, LEAST = 256, 64
_MACS = 5e10  # multiply-accumulates of one pass over the samples; some seconds
_WORST = 32  # samples that every setting is tried on
_FINALISTS = 4  # settings that are tried on all samples
_LEVEL = 0.01  # of all tests of a round together
_SAME = 0.05  # two settings that differ less surely than this are not told apart
_ROUNDS = 3  # respects in which one set of options is wrong at once
_FEW = 32  # below this, samples that are too few to be sure may still point somewhere
_POINTER = 0.2


@dataclass(frozen=True)
class Suggestion:
    """What to type (or to change of tensors), and the mean score with it."""

    say: str
    value: float


@dataclass(frozen=True)
class PreprocessAudit:
    """What was found. ``better`` is None when nothing is clearly better than what was given.

    ``subject`` is the respect in which that differs most: color, scale, mean-std, layout, resize.
    ``equals`` are others that the samples cannot tell from it. ``hint`` is a setting that looks
    better, but that so few samples cannot be sure of. ``at_chance`` says that the scores are what
    labels in any order would give, with which samples and labels as many as these do not.
    """

    samples: int
    value: float
    at_chance: bool
    subject: str = ""
    better: Suggestion | None = None
    equals: tuple[Suggestion, ...] = ()
    hint: Suggestion | None = None


@dataclass(frozen=True, eq=False)
class _Tried:
    variant: Variant
    scores: Scores

    @property
    def setting(self) -> Suggestion:
        return Suggestion(self.variant.say, float(self.scores.mean()))


def audit_preprocess(
    model: ModelProto,
    samples: Samples,
    scoring: Scoring,
    *,
    seed: int = 0,
    progress: Progress = SILENT,
) -> PreprocessAudit:
    """Compare the preprocess of labelled ``samples`` with what it may have been meant to be.

    Runs on at most MOST samples, seeded and stratified. Raises SamplesError, OptionError or
    ModelError when the model cannot be scored on them as they are.
    """
    few = samples.take(_affordable(model, len(samples)), seed)
    trials = _Trials(model, scoring, few, progress)
    first = _Tried(original(few), trials.scores(original(few)))
    at_chance = trials.is_at_chance()
    now, subject = first, ""
    equals: tuple[Suggestion, ...] = ()
    hint: Suggestion | None = None
    for _ in range(_ROUNDS):
        tried = trials.others(now, first)
        surely = [one for one in tried if trials.is_better(one, now)]
        if not surely:
            if now is first and at_chance and tried:
                hint = trials.pointer(tried, now)
            break
        best, alike = trials.choose(surely)
        equals = (*equals, *(one.setting for one in alike))
        now, subject = best, subject or best.variant.subject
    value = float(first.scores.mean())
    sign = trials.sign
    return PreprocessAudit(
        len(few),
        sign * value,
        at_chance,
        subject,
        None if now is first else _shown(now.setting, sign),
        tuple(_shown(one, sign) for one in equals),
        hint and _shown(hint, sign),
    )


def _shown(one: Suggestion, sign: int) -> Suggestion:
    return Suggestion(one.say, sign * one.value)


def _affordable(model: ModelProto, count: int) -> int:
    cost = max(macs_of(model), 1)
    return min(count, int(np.clip(_MACS / cost, LEAST, MOST)))


class _Trials:
    """The model, run with one setting after the other. Scores are the higher the better."""

    def __init__(
        self, model: ModelProto, scoring: Scoring, samples: Samples, progress: Progress
    ) -> None:
        self._session = Session(model)
        self._scoring = scoring
        assert samples.labels is not None
        self._labels = samples.labels
        self._outputs: list[Array] = []
        self._level = _LEVEL
        self._progress = progress
        self._done = 0
        self.sign = -1 if scoring.metric.lower_is_better else 1

    def scores(self, variant: Variant) -> Scores:
        """Of every sample with this setting."""
        self._outputs = self._run(variant, np.arange(len(self._labels)))
        return self.sign * self._scoring.scores(self._outputs, _labels_of(variant))

    def is_at_chance(self) -> bool:
        """Right after ``scores``: whether labels in any order would score as high."""
        return is_no_better_than_chance(self._scoring, self._outputs, self._labels)

    def others(self, now: _Tried, first: _Tried) -> list[_Tried]:
        """The settings that win on the worst samples, tried on all of them."""
        variants = variants_of(now.variant, first.variant)
        self._level = _LEVEL / max(len(variants), 1)
        worst, share = self._worst(now.scores)
        if not len(worst):
            return []
        wins = self._wins(variants, now.scores, worst)
        least = self._level if len(self._labels) >= _FEW else _POINTER
        order = sorted(range(len(variants)), key=lambda index: -wins[index])[:_FINALISTS]
        able = [index for index in order if sign_test(math.ceil(wins[index] / share), 0) < least]
        return [_Tried(variants[index], self.scores(variants[index])) for index in able]

    def is_better(self, one: _Tried, other: _Tried) -> bool:
        """Whether it is sure, whatever else was tried."""
        wins, losses = _duel(one.scores, other.scores)
        return wins > losses and sign_test(wins, losses) < self._level

    def choose(self, tried: Sequence[_Tried]) -> tuple[_Tried, list[_Tried]]:
        """One of the best, and those that cannot be told from it; a guess only when alone."""
        top = max(tried, key=lambda one: float(one.scores.mean()))
        alike = [one for one in tried if sign_test(*_duel(one.scores, top.scores)) > _SAME]
        known = [one for one in alike if not one.variant.guess] or alike
        swapped = [one for one in known if one.variant.subject == "mean-std"]
        if swapped:  # the very numbers that were given: nothing else is as likely
            return swapped[0], []
        best = max(known, key=lambda one: float(one.scores.mean()))
        return best, [one for one in known if one is not best]

    def pointer(self, tried: Sequence[_Tried], now: _Tried) -> Suggestion | None:
        """What looks best, though nobody could be sure."""
        best = max(tried, key=lambda one: float(one.scores.mean()))
        wins, losses = _duel(best.scores, now.scores)
        looks = wins > losses and sign_test(wins, losses) < _POINTER
        return best.setting if looks else None

    def _worst(self, scores: Scores) -> tuple[NDArray[np.int64], float]:
        """The samples that go worst, in their order, and which share of the losers they are."""
        losers = int((scores < 1).sum()) if isinstance(self._scoring.metric, TopK) else len(scores)
        count = min(losers, _WORST)
        worst = np.argsort(scores, kind="stable")[:count]
        return np.sort(worst), count / max(losers, 1)

    def _wins(
        self, variants: Sequence[Variant], scores: Scores, worst: NDArray[np.int64]
    ) -> list[int]:
        """On how many of the worst samples each setting is better."""
        outputs: list[list[list[Array]]] = [[] for _ in variants]
        for index in worst:  # sample by sample, as an image is decoded once for all
            for rows, variant in zip(outputs, variants, strict=True):
                rows.append(self._one(variant, int(index)))
        found = (
            self._scored(_stacked(rows), _labels_of(variant).take(worst))
            for rows, variant in zip(outputs, variants, strict=True)
        )
        return [int((one > scores[worst]).sum()) for one in found]

    def _scored(self, outputs: list[Array], labels: Labels) -> Scores:
        if any(one.dtype.kind == "f" and np.isnan(one).any() for one in outputs):
            return np.full(len(labels), -np.inf)
        return self.sign * self._scoring.scores(outputs, labels)

    def _run(self, variant: Variant, places: NDArray[np.int64]) -> list[Array]:
        return _stacked([self._one(variant, int(index)) for index in places])

    def _one(self, variant: Variant, index: int) -> list[Array]:
        self._done += 1
        self._progress.step("try the preprocessing", self._done)
        return self._session.run(variant.samples.feeds(index))


def _labels_of(variant: Variant) -> Labels:
    """As this setting has them: boxes and masks go the way of their images."""
    labels = variant.samples.labels
    assert labels is not None
    return labels


def _duel(one: Scores, other: Scores) -> tuple[int, int]:
    return int((one > other).sum()), int((one < other).sum())


def _stacked(rows: Sequence[Sequence[Array]]) -> list[Array]:
    """Outputs of single samples -> one array (N, ...) for each output."""
    return [np.stack([_without_batch(one) for one in column]) for column in zip(*rows, strict=True)]


def _without_batch(output: Array) -> Array:
    return output[0] if output.ndim and output.shape[0] == 1 else output
