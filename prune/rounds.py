"""Pruning in rounds: cut a part of the way, repair, measure the smaller model anew, go on.

The target of the repair stays the output of the original model, as in iterative pruning with
knowledge of the teacher; the statistics, the order of the channels and the error of each width,
which the first cut has changed, are measured anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from onnx import ModelProto

from ..core.errors import OptionError
from ..core.graphs.model import load_model, save_model
from ..core.results.pruning_figures import PrunedBlock, PrunedGroup
from ..core.scratch import scratch_folder
from .prune import Pruner
from .repair.refit import Teacher
from .results.budget import Budget
from .results.prune_result import PruneResult

# (model that was cut before, its teacher, its twin) -> its Pruner
MakePruner = Callable[[ModelProto, Teacher, ModelProto | None], Pruner]

# From benchmarks on two models, see docs/pruning-measured.md: budgets in cycles leave so few widths
# to choose from that a second look finds the same ones.
_FINE = ("macs", "size")
_LARGE = 0.6


def default_rounds(budget: Budget) -> int:
    """Return the number of rounds for a budget when none is given.

    >>> default_rounds(Budget("macs", 0.3)), default_rounds(Budget("macs", 0.7))
    (1, 2)
    """
    return 2 if budget.kind in _FINE and budget.share >= _LARGE else 1


def prune_in_rounds(
    first: Pruner,
    make: MakePruner,
    budget: Budget,
    rounds: int,
    output: Path,
    twin: Path | None = None,
) -> PruneResult:
    """Write the model that saves the budget's share, cut in ``rounds`` equal parts of what is left.

    ``first`` is the Pruner of the whole model. Where a later round cannot save its part any more,
    one round is tried instead. ``twin`` is as for Pruner.prune. Raises OptionError when no cut
    saves so much; nothing is written then.
    """
    if rounds == 1:
        return first.prune(budget, output, twin)
    with scratch_folder() as folder:
        work = folder / output.name
        try:
            result = _in_rounds(first, make, budget, rounds, work, twin)
        except OptionError:
            return first.prune(budget, output, twin)
        save_model(load_model(work), output)
    return replace(result, path=output)


def _in_rounds(
    first: Pruner,
    make: MakePruner,
    budget: Budget,
    rounds: int,
    output: Path,
    twin: Path | None,
) -> PruneResult:
    measure, curve = first.curve(budget.share)
    equal_share, left, pruner = 1 - (1 - budget.share) ** (1 / rounds), 1.0, first
    teacher: Teacher | None = None
    results: list[PruneResult] = []
    for turn in range(1, rounds + 1):
        share = equal_share if turn < rounds else 1 - (1 - budget.share) / left
        if share <= 0:  # the rounds before went further than they had to
            break
        if teacher is not None:
            so_far = load_model(twin) if twin is not None and twin.exists() else None
            pruner = make(load_model(output), teacher, so_far)
        result = pruner.prune(Budget(budget.kind, share), output, twin)
        teacher = pruner.teacher_after(result)
        groups, blocks = result.groups, result.blocks
        if results:
            groups = _join_groups(results[-1].groups, groups, left)
            blocks = _join_blocks(results[-1].blocks, blocks, left)
        results.append(replace(result, groups=groups, blocks=blocks))
        left *= result.cost_after / result.cost_before
    whole, last = results[0], results[-1]
    return replace(
        whole,
        budget=budget,
        cost_after=whole.cost_before * left,
        macs_after=last.macs_after,
        parameters_after=last.parameters_after,
        groups=last.groups,
        blocks=last.blocks,
        measure=measure,
        curve=curve,
        choice=last.choice,  # against the original in every round
    )


def _join_groups(
    first: tuple[PrunedGroup, ...], second: tuple[PrunedGroup, ...], left: float
) -> tuple[PrunedGroup, ...]:
    """Return the groups of two rounds joined; ``left`` is the share of the cost between them."""
    later = {group.name: group for group in second}
    return tuple(
        replace(
            group,
            after=later[group.name].after,
            error=group.error + later[group.name].error,
            saved=group.saved + left * later[group.name].saved,
        )
        if group.name in later
        else group
        for group in first
    )


def _join_blocks(
    first: tuple[PrunedBlock, ...], second: tuple[PrunedBlock, ...], left: float
) -> tuple[PrunedBlock, ...]:
    """Return the blocks of two rounds joined: savings of the later one are a part of ``left``."""
    later = {block.name: replace(block, saved=left * block.saved) for block in second}
    return tuple(later.get(block.name, block) for block in first)
