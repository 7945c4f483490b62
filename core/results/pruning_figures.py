"""What pruning did: the groups and blocks it cut, the trade-off around the cut, and its ratios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class PrunedGroup:
    """The width of one group of channels before and after.

    ``error`` is the divergence of the outputs when it alone is cut to that width, ``saved`` the
    share of the unpruned model's cost that this cut saves, with the others as they are now.
    ``sensitivity`` maps width -> error for the widths that were measured, and ``layers`` names the
    layers that produce the channels, by node and weight.
    """

    name: str
    before: int
    after: int
    error: float
    saved: float
    sensitivity: dict[int, float]
    layers: tuple[str, ...]


@dataclass(frozen=True)
class PrunedBlock:
    """A residual block that could be left out whole, and whether it was.

    ``error``, ``saved`` and ``layers`` are as for a group; ``saved`` is 0 if it was not left out.
    """

    name: str
    left_out: bool
    error: float
    saved: float
    layers: tuple[str, ...]


@dataclass(frozen=True)
class CurvePoint:
    """One point of the trade-off: cost over that of the unpruned model, error and likeness.

    ``error`` is estimated, the sum of what the groups' cuts give alone; ``likeness`` is measured
    with all of them together and the readers refitted in one shot, so that it is a lower bound.
    """

    cost_ratio: float
    error: float
    likeness: float


@dataclass(frozen=True)
class PruningAttempt:
    """A budget that was tried to keep within a drop: its share, and the outputs' retention."""

    share: float
    retention: float


@dataclass(frozen=True)
class PlanChoice:
    """The plan that was chosen, of ``searched``, ``concentrated``, ``channels`` and ``uniform``.

    ``values`` maps plan -> squared error of the outputs over their variance (the smaller is
    better), or their retention, as ``measure`` says; on samples that none was repaired with.
    """

    plan: str
    measure: str
    values: dict[str, float]


@dataclass(frozen=True)
class Distillation:
    """The effect of training on a pruned model, measured on samples that it was not trained on.

    ``divergence_*`` is 0 for the outputs of the original, see divergence.py; ``likeness_*`` is 1
    for them, and ``measure`` names it: agreement, or cosine. The trained weights are ``kept`` only
    if they diverge less. ``samples`` were trained on, ``held_out`` were not.
    """

    kept: bool
    measure: str
    divergence_before: float
    divergence_after: float
    likeness_before: float
    likeness_after: float
    steps: int
    seconds: float
    samples: int
    held_out: int


@dataclass(frozen=True)
class SparseLayer:
    """A layer that is 2:4 sparse: half of its ``weights`` are zero, along ``axis``.

    ``error`` is the part of its outputs' power that this cost, after the repair.
    """

    name: str
    axis: Literal["output", "input"]
    weights: int
    error: float


@dataclass(frozen=True)
class Sparsity:
    """The layers that are 2:4 sparse now, and the dense ones: not to be sparse or not recognised.

    ``likeness`` is that of the outputs to those of the model before, named by ``measure``, on
    samples that were held out.
    """

    layers: tuple[SparseLayer, ...]
    dense: tuple[str, ...]
    measure: str
    likeness: float


@dataclass(frozen=True)
class UnseenFigure:
    """How close the outputs stay on ``samples`` that the repair did not see.

    ``sqnr_db`` is that of the worst part of the outputs, ``agreement`` the share of samples with
    the same prediction, None where that says nothing. It is measured of a model repaired with the
    other samples; the one that is written is repaired with all.
    """

    samples: int
    sqnr_db: float
    agreement: float | None


@dataclass(frozen=True)
class PruningFigure:
    """What pruning did. The ratios are over the unpruned model.

    Those of cycles and latency are of the final build over the unpruned model in int8 (in float16
    where no layer multiplies in int8). Nine of ten true ratios of latency lie between
    ``latency_low`` and ``latency_high``.

    ``predicted_ratio`` is that of the ``budget`` (cycles, latency, macs or size) as the search saw
    it, without the compiler; both are None when no channels were to be removed. ``measure`` says
    what the likeness of the ``curve`` is. ``choice`` is which of several plans was kept, and what
    each gave on held-out samples. ``distillation`` is what training made better, when it
    was asked for. ``sparsity`` tells of layers made 2:4 sparse. ``unseen`` is how close it stays on
    samples that were held out, None where there are too few.
    """

    cycles_ratio: float | None
    macs_ratio: float | None
    parameters_ratio: float | None
    budget: str | None
    predicted_ratio: float | None
    measure: str
    curve: tuple[CurvePoint, ...]
    groups: tuple[PrunedGroup, ...]
    blocks: tuple[PrunedBlock, ...] = ()
    attempts: tuple[PruningAttempt, ...] = ()
    choice: PlanChoice | None = None
    distillation: Distillation | None = None
    sparsity: Sparsity | None = None
    unseen: UnseenFigure | None = None
    latency_ratio: float | None = None
    latency_low: float | None = None
    latency_high: float | None = None

    @property
    def ratios(self) -> dict[str, float | None]:
        """The ratios that were measured on the models, by what they are of."""
        return {
            "cycles": self.cycles_ratio,
            "latency": self.latency_ratio,
            "macs": self.macs_ratio,
            "parameters": self.parameters_ratio,
        }
