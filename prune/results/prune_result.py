"""The result of pruning, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...core.graphs.sparsity import Axis
from .budget import Budget


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
    """The plan that was chosen, ``searched``, ``channels`` or ``uniform``, and those tried.

    ``values`` maps plan -> divergence of the outputs (the smaller is better), or their retention,
    as ``measure`` says; on samples that none was repaired with.
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
    axis: Axis
    weights: int
    error: float


@dataclass(frozen=True)
class Sparsity:
    """The layers that are 2:4 sparse now, and the dense ones: not to be sparse or not recognised.

    ``likeness`` is that of the outputs to those of the model before, named by ``measure``.
    """

    layers: tuple[SparseLayer, ...]
    dense: tuple[str, ...]
    measure: str
    likeness: float


@dataclass(frozen=True)
class PruneResult:
    """The result of pruning. ``cost_*`` are in the unit of the budget, by its cost function.

    Without a ``budget`` no channels were removed, and the costs are 0. ``frozen`` maps operator
    type -> number of nodes around which nothing could be removed; ``measure`` names the likeness
    of the ``curve``: agreement, or cosine.
    """

    path: Path
    budget: Budget | None
    cost_before: float
    cost_after: float
    macs_before: int
    macs_after: int
    parameters_before: int
    parameters_after: int
    groups: tuple[PrunedGroup, ...]
    blocks: tuple[PrunedBlock, ...]
    frozen: dict[str, int]
    measure: str = ""
    curve: tuple[CurvePoint, ...] = ()
    attempts: tuple[PruningAttempt, ...] = ()
    choice: PlanChoice | None = None
    distillation: Distillation | None = None
    sparsity: Sparsity | None = None
