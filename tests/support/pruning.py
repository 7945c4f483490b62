"""Pruning as one call, and channels by the names of their groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from onnx import ModelProto

from rockpress.core.progress import SILENT, Progress
from rockpress.core.session import Session
from rockpress.core.types import Array, Feeds
from rockpress.prune.channels.dependency_graph import DependencyGraph
from rockpress.prune.channels.groups import Group
from rockpress.prune.prune import PruneMethod, Pruner
from rockpress.prune.results.budget import Budget
from rockpress.prune.results.prune_result import PruneResult
from rockpress.prune.search.costs import CostFunction
from rockpress.prune.search.divergence import divergence


def prune(
    model: ModelProto,
    output: Path,
    samples: Iterable[Feeds],
    budget: Budget,
    *,
    cost: CostFunction,
    method: PruneMethod | None = None,
    progress: Progress = SILENT,
) -> PruneResult:
    """Remove channels from a prepared model until ``cost`` has fallen by the budget's share.

    Writes it to ``output``. Arguments and errors are those of Pruner.
    """
    pruner = Pruner(model, samples, cost=cost, method=method, progress=progress)
    return pruner.prune(budget, output)


def mark_removed(
    dependency: DependencyGraph, removed: dict[str, Array], groups: list[Group]
) -> Array:
    """Return a mask over all roots; ``removed`` maps group name -> indices of channels to drop."""
    mask = dependency.empty_mask()
    for group in groups:
        if group.name in removed:
            mask[group.roots[removed[group.name]]] = True
    return mask


def divergence_on(model: ModelProto, samples: Iterable[Feeds]) -> Callable[[ModelProto], float]:
    """Return what tells the divergence of a model's outputs from those of ``model``."""
    reference = Session(model).stacked(samples)
    return lambda other: divergence(reference, Session(other).stacked(samples))
