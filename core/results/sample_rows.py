"""What changed on the evaluation samples: class by class, sample by sample, form by form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ChangedSample:
    """One sample that the result does worse: its label, both predictions, both scores.

    ``image`` is a data URI, for pages only: the JSON document leaves it out, and whether the
    prediction ``is_drawn`` on it.
    """

    sample: str
    index: int
    label: str
    baseline: str
    candidate: str
    baseline_score: float
    candidate_score: float
    image: str | None = None
    is_drawn: bool = False


@dataclass(frozen=True)
class ChangedSamples:
    """Places of the samples that the result does worse and better, and the worst first."""

    lost: tuple[int, ...]
    gained: tuple[int, ...]
    worst: tuple[ChangedSample, ...]


@dataclass(frozen=True)
class ClassRow:
    """The metric of one class in both models, and its samples or objects where they are counted."""

    class_name: str
    samples: int | None
    baseline: float
    candidate: float


@dataclass(frozen=True)
class ConfusionRow:
    """How often each of the models predicts another class than the label."""

    label: str
    predicted: str
    baseline: int
    candidate: int


@dataclass(frozen=True)
class PrecisionRow:
    """The precision of both models at a recall, mean over the classes."""

    recall: float
    baseline: float
    candidate: float


@dataclass(frozen=True)
class MetricDetails:
    """What a metric says beyond its value; ``more`` is what a metric of the user's own adds.

    ``classes``, ``confusions`` and ``precisions`` are None where the metric has none.
    """

    classes: tuple[ClassRow, ...] | None = None
    confusions: tuple[ConfusionRow, ...] | None = None
    more: Mapping[str, object] = field(default_factory=dict)
    precisions: tuple[PrecisionRow, ...] | None = None


@dataclass(frozen=True)
class RobustnessRow:
    """Both models on clean samples (the ``corruption`` none) or on worse ones of some level.

    ``retention`` and its interval are None without labels, as are ``metric``, ``baseline`` and
    ``candidate``.
    """

    corruption: str
    level: float | None
    metric: str | None
    baseline: float | None
    candidate: float | None
    retention: float | None
    low: float | None
    high: float | None
    agreement: float | None
    sqnr_db: float
    samples: int


@dataclass(frozen=True)
class AttackRow:
    """Both models on images that were changed on purpose, or on the same as they are (none).

    ``epsilon`` is the largest change of a pixel, of 255; ``queries`` are the most images shown to a
    model for one, None where its gradients are read. ``made_on`` is each where each model is shown
    what was made against itself, baseline where both are shown what was made against the baseline.
    Of the ``both_right`` that both have right as they are, ``opened`` are those that the candidate
    alone gets wrong then and ``closed`` those that the baseline alone does; ``p_value`` is of both
    being as likely. Of what cannot be, such as a ratio to 0, there is None.
    """

    attack: str
    epsilon: float | None
    made_on: str | None
    queries: int | None
    metric: str | None
    baseline: float | None
    candidate: float | None
    retention: float | None
    low: float | None
    high: float | None
    samples: int
    opened: int | None = None
    closed: int | None = None
    p_value: float | None = None
    both_right: int | None = None


@dataclass(frozen=True)
class DriftRow:
    """A form of the model against the one before, or a ``layer`` that loses much in one.

    ``step_db`` is a form's SQNR to the one before, or by how much a layer's SQNR differs from that
    of its worst input; ``sqnr_db`` is against the float model. ``value`` is the metric's,
    ``change`` the difference to the form before.
    """

    stage: str
    layer: str | None
    operator: str | None
    value: float | None
    change: float | None
    agreement: float | None
    sqnr_db: float
    step_db: float
