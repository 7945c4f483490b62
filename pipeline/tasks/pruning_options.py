"""What the options say of pruning, before any model is opened."""

from __future__ import annotations

from ...convert.chips.targets import TARGETS, Target
from ...convert.latency.coefficients import is_fitted
from ...core.diagnostics import option
from ...core.errors import OptionError
from ...core.graphs.sparsity import PATTERN
from ...prune.results.budget import Budget, parse_budget
from ..options.prune_options import PruneOptions

# with --max-drop alone: more than this is not tried
_MOST = Budget("cycles", 0.9)


def budget_of(options: PruneOptions) -> Budget | None:
    """Return what may be pruned; None when it is not to be pruned. Raises OptionError."""
    if options.prune:
        return parse_budget(options.prune)
    return None if options.max_drop is None else _MOST


def prunes(options: PruneOptions) -> bool:
    """Return whether channels are to be removed or weights to be made sparse."""
    return budget_of(options) is not None or options.sparsity is not None


def distils(options: PruneOptions) -> bool:
    """Return whether what is left of a pruned model is to be trained."""
    return prunes(options) and options.recover == "distill"


def require_pruning(options: PruneOptions) -> None:
    """Raise OptionError when nothing says what to prune."""
    if not prunes(options):
        raise OptionError(
            "nothing says how much to prune",
            f"for example {option('prune', 'cycles=-30%')}, or {option('sparsity', '2:4')}",
        )
    if options.rounds is not None and options.rounds > 1 and options.max_drop is not None:
        raise OptionError(
            f"{option('rounds', options.rounds)}: the cuts that {option('max-drop')} tries are "
            "made in one round",
            "leave one of the two out",
        )


def require_cost(budget: Budget, target: Target) -> None:
    """Raise OptionError for a latency on a chip that has cycles only."""
    if budget.kind == "latency" and not is_fitted(target):
        raise OptionError(
            f"there is no latency in milliseconds for {target.name}, only cycles",
            f"for example cycles=-{budget.share:.0%}",
        )


def require_sparsity(options: PruneOptions, scheme: str, target: Target) -> None:
    """Raise OptionError when a target cannot gain from the sparsity that is asked for."""
    if options.sparsity is None:
        return
    if options.sparsity != PATTERN:
        raise OptionError(
            f"{option('sparsity', options.sparsity)}: the compiler knows {PATTERN} alone",
            f"use {option('sparsity', PATTERN)}, or leave it out",
        )
    if not target.sparse:
        able = ", ".join(chip.name for chip in TARGETS if chip.sparse)
        raise OptionError(
            f"{option('sparsity', PATTERN)}: {target.name} cannot leave zeros out of a weight",
            f"leave it out, or name a chip that can with {option('target')}: {able}",
        )
    if scheme not in target.sparse:
        raise OptionError(
            f"{option('sparsity', PATTERN)}: the compiler does not recognise it in {scheme}",
            f"quantize to w8a8, or use {option('scheme', 'float16')}",
        )
    if options.max_drop is not None:
        raise OptionError(
            f"{option('sparsity', PATTERN)} is not tried by {option('max-drop')}",
            "give a budget for the channels instead, or leave one of the two out",
        )
