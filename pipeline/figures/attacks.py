"""What is left of a classifier under attack, beside what is left of the original.

Does compression open a door that was shut? Each model is attacked by its own scores (Square
Attack), with the same random numbers; what was made against the original is shown to both; and,
with PyTorch, so is what the original's gradients give (PGD). All runs in ONNX Runtime, the
candidate as the quantized ONNX model that the ``.rknn`` is to compute: a search takes thousands of
runs, and the simulator is slow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from ...accuracy.attacks.class_scores import score_tensor
from ...accuracy.attacks.classifier_attack import ClassifierAttack
from ...accuracy.attacks.input_pixels import with_pixels
from ...accuracy.attacks.square import SearchBounds
from ...accuracy.compare import Comparison, compare
from ...accuracy.confidence.proportions import sign_test
from ...accuracy.metrics.classification import TopK
from ...accuracy.metrics.metric_table import BoundMetric
from ...accuracy.runners import run_onnxruntime
from ...calibration_data.images.geometry import Pixels
from ...calibration_data.samples import Samples
from ...core.diagnostics import Diagnostic, option
from ...core.errors import ModelError, PackageError
from ...core.graphs.graph import Graph
from ...core.graphs.model import load_model
from ...core.progress import Progress
from ...core.results.sample_rows import AttackRow
from ..options.check_options import CheckOptions
from ..tasks.input_gradients import input_gradients

Hits = NDArray[np.bool_]
_Made = TypeVar("_Made")


@dataclass(frozen=True)
class ComparedModels:
    """Two models that are compared by a metric, on labelled samples; the candidate's may be a file.

    ``optimise`` is False for a quantized candidate.
    """

    original: ModelProto
    candidate: Path | ModelProto
    scoring: BoundMetric
    optimise: bool


@dataclass(frozen=True)
class AttackResult:
    """A row for the images as they are and one for each attack, and why there is none of another.

    A row has no figures where a model gives what is not finite on the images of an attack.
    """

    rows: tuple[AttackRow, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()


def attacks_of(
    models: ComparedModels,
    evaluation: Samples,
    options: CheckOptions,
    seed: int,
    progress: Progress,
) -> AttackResult:
    """Attack both models, where the metric is a classifier's and the samples have labels."""
    metric, labels = models.scoring.metric, evaluation.labels
    if not options.attack_queries:
        return AttackResult()
    if not isinstance(metric, TopK):
        return _not_attacked(f"{metric.name} has none")
    if labels is None:
        return _not_attacked("the samples have no labels")
    samples = evaluation.take(options.attack_count, seed)
    assert samples.labels is not None
    bounds = SearchBounds(options.attack_epsilon, options.attack_queries)
    attack = ClassifierAttack(samples, samples.labels.classes(), metric.k, bounds, seed)
    trial = _AttackTrial(models, attack, progress)
    rows = tuple(_rows(trial))
    return AttackResult(rows, tuple(trial.warnings))


def _not_attacked(why: str) -> AttackResult:
    text = f"nothing was attacked: an attack is on the score of a label's class, and {why}"
    hint = f"{option('attack-queries', 0)} says that none is wanted"
    return AttackResult(warnings=(Diagnostic("robustness-no-attack", text, hint),))


def _rows(trial: _AttackTrial) -> Iterator[AttackRow]:
    """Yield a row for the images as they are and for each attack; none if even that cannot be."""
    models, tried = trial.models, trial.tried
    candidate = models.candidate
    loaded = load_model(candidate) if isinstance(candidate, Path) else candidate
    clean = tried("attack", lambda: trial.shown(trial.attack.images.pixels))
    if clean is None:
        return
    yield _row("none", None, trial, clean)
    name = "attack on the original"
    first = tried(name, lambda: trial.by_scores(models.original, name, optimise=True))
    other = "attack on the result"
    second = tried(other, lambda: trial.by_scores(loaded, other, optimise=models.optimise))
    for made_on, pair in (("each", (first, second)), ("baseline", (first, first))):
        yield _row("square", made_on, trial, trial.outcome(f"square {made_on}", *pair), clean)
    is_right = clean.right[0]
    changed = tried("attack by gradients", lambda: trial.by_gradients(is_right))
    if changed is not None:
        yield _row(
            "pgd", "baseline", trial, trial.outcome("attack by gradients", changed, changed), clean
        )


@dataclass(frozen=True)
class _Outcome:
    """What two models make of images: their comparison, and which each has right."""

    comparison: Comparison
    right: tuple[Hits, Hits]


@dataclass(frozen=True)
class _AttackTrial:
    """Both models, the attack on either, and what could not be."""

    models: ComparedModels
    attack: ClassifierAttack
    progress: Progress
    warnings: list[Diagnostic] = field(default_factory=list)

    def tried(self, name: str, make: Callable[[], _Made]) -> _Made | None:
        """Return what is made; None, and a warning, where a model or what it needs is not so."""
        try:
            return make()
        except (ModelError, PackageError) as error:
            said = error.diagnostic
            text = f"no {name}: {said.text}"
            self.warnings.append(Diagnostic("robustness-no-attack", text, said.hint, subject=name))
            return None

    def outcome(self, name: str, first: Pixels | None, second: Pixels | None) -> _Outcome | None:
        """Return what the original makes of some images and the candidate of others; or None."""
        if first is None or second is None:
            return None
        return self.tried(f"figures of the {name}", lambda: self.shown(first, second))

    def by_scores(self, model: ModelProto, activity: str, *, optimise: bool) -> Pixels:
        """Return what the search makes of the images (N, H, W, C) against a model."""
        return self.attack.by_scores(
            model,
            self._scores(model),
            optimise=optimise,
            progress=self.progress,
            activity=activity,
        )

    def by_gradients(self, is_right: Hits) -> Pixels:
        """Return what the original's gradients make of those that it has right.

        Raises ModelError for a model that they cannot be had of, and PackageError.
        """
        original = self.models.original
        if self.attack.samples.batch > 1:
            raise ModelError("the model has a batch above 1", "export it with a batch of 1")
        gradients = input_gradients(original, self._scores(original))
        activity = "attack by gradients"
        return self.attack.by_gradients(gradients, is_right, self.progress, activity)

    def shown(self, first: Pixels, second: Pixels | None = None) -> _Outcome:
        """Return what the original makes of images, and the candidate of those or of others.

        Raises ModelError where one of them gives what is not finite.
        """
        models, samples = self.models, self.attack.samples
        run = partial(run_onnxruntime, progress=self.progress, activity="attacked images")
        before = run(models.original, with_pixels(samples, first))
        others = with_pixels(samples, first if second is None else second)
        after = run(models.candidate, others, keeps_scales=not models.optimise)
        labels, scoring = samples.labels, models.scoring
        assert labels is not None
        comparison = compare(before, after, labels, scoring, self.attack.seed)
        if comparison.metric is None:
            raise ModelError("the result gives what is not finite", "look at it on such images")
        hits = (scoring.scores(outputs, labels) > 0 for outputs in (before, after))
        return _Outcome(comparison, (next(hits), next(hits)))

    def _scores(self, model: ModelProto) -> str:
        indices = self.models.scoring.indices
        return score_tensor(model, Graph(model).output_names[indices[0] if indices else 0])


def _row(
    name: str,
    made_on: str | None,
    trial: _AttackTrial,
    outcome: _Outcome | None,
    clean: _Outcome | None = None,
) -> AttackRow:
    bounds, metric = trial.attack.bounds, trial.models.scoring.metric.name
    unknown = AttackRow(
        attack=name,
        epsilon=bounds.epsilon if made_on else None,
        made_on=made_on,
        queries=bounds.queries if name == "square" else None,
        metric=metric,
        **dict.fromkeys(("baseline", "candidate", "retention", "low", "high")),
        samples=len(trial.attack.labels),
    )
    if outcome is None:
        return unknown
    comparison, retention = outcome.comparison, outcome.comparison.retention
    row = replace(
        unknown,
        baseline=comparison.baseline_value,
        candidate=comparison.candidate_value,
        retention=retention.value if retention else None,
        low=retention.low if retention else None,
        high=retention.high if retention else None,
    )
    if clean is None:
        return row
    both, opened, closed = _doors(clean, outcome)
    p_value = sign_test(opened, closed)
    return replace(row, both_right=both, opened=opened, closed=closed, p_value=p_value)


def _doors(clean: _Outcome, attacked: _Outcome) -> tuple[int, int, int]:
    """Count the samples that both have right as they are, and what either alone loses of them."""
    both = clean.right[0] & clean.right[1]
    first, second = (both & right for right in attacked.right)
    return int(both.sum()), int((first & ~second).sum()), int((second & ~first).sum())
