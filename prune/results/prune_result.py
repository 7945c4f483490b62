"""The result of pruning, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...core.results.pruning_figures import (
    CurvePoint,
    Distillation,
    PlanChoice,
    PrunedBlock,
    PrunedGroup,
    PruningAttempt,
    Sparsity,
    UnseenFigure,
)
from .budget import Budget


@dataclass(frozen=True)
class PruneResult:
    """The result of pruning. ``cost_*`` are in the unit of the budget, by its cost function.

    Without a ``budget`` no channels were removed, and the costs are 0. ``frozen`` maps operator
    type -> number of nodes around which nothing could be removed; ``measure`` names the likeness
    of the ``curve``: agreement, or cosine. ``merged`` names the layers that are one with the next.
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
    merged: tuple[str, ...] = ()
    measure: str = ""
    curve: tuple[CurvePoint, ...] = ()
    attempts: tuple[PruningAttempt, ...] = ()
    choice: PlanChoice | None = None
    distillation: Distillation | None = None
    sparsity: Sparsity | None = None
    unseen: UnseenFigure | None = None
