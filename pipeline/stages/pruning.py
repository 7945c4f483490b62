"""How a recipe's model is pruned: budget, target, method, and what is held out to judge by."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from onnx import ModelProto

from ...accuracy.metrics.metric_table import Scoring
from ...calibration_data.samples import Samples
from ...convert.chips.cycles import layer_cycles
from ...convert.chips.latency import layer_ms
from ...convert.chips.targets import Target
from ...convert.convert import Conversion
from ...core.diagnostics import Diagnostic, option
from ...core.errors import OptionError
from ...core.graphs.graph import Graph
from ...core.results.pruning_figures import PruningFigure
from ...core.session import Session
from ...core.types import Array
from ...prune.budget import Budget, macs_cost, parse_budget, size_cost
from ...prune.channels.layer_selection import require_prunable
from ...prune.prune import Method, Pruner
from ...prune.prune_result import PruneResult
from ...prune.repair.refit import Before
from ...prune.rounds import prune_in_rounds, usual_rounds
from ...prune.search.costs import Cost
from ...prune.search.divergence import likeness
from ...prune.sparse.sparsify import require_layers as require_sparsifiable
from ..figures.figures_of import ratio
from ..recipes.recipe import Recipe
from ..samples.bound_metric import scoring_of
from ..samples.task_metric import judge_for
from .distilling import parted, require_distilling
from .stage_log import Step
from .two_four import made_sparse, untouched

# channels at which multiply-accumulates and size change visibly; the chips' steps do not matter
_FINE_STEP = 8
# with --max-drop alone: more than this is not tried
_MOST = Budget("cycles", 0.9)


def budget_of(recipe: Recipe) -> Budget | None:
    """What a recipe allows to prune; None when it is not to be pruned. Raises OptionError."""
    if recipe.prune:
        return parse_budget(recipe.prune)
    return None if recipe.max_drop is None else _MOST


def cost_of(budget: Budget, target: Target, dtype: str) -> tuple[Cost, int]:
    """The cost of a layer for a budget, and the number of channels at which it changes.

    Raises OptionError for a latency on a chip that has cycles only.
    """
    if budget.kind == "macs":
        return macs_cost, _FINE_STEP
    if budget.kind == "size":
        return size_cost, _FINE_STEP
    if budget.kind == "latency":
        if target.latency is None:
            raise OptionError(
                f"there is no latency in milliseconds for {target.name}, only cycles",
                f"for example cycles=-{budget.share:.0%}",
            )
        return lambda layer: layer_ms(layer, target, dtype), target.cout_step
    return lambda layer: layer_cycles(layer, target, dtype), target.cout_step


def prunes(recipe: Recipe) -> bool:
    """Whether a recipe asks for channels to be removed or weights to be made sparse."""
    return budget_of(recipe) is not None or recipe.sparsity is not None


def require_pruning(recipe: Recipe) -> None:
    """Raise OptionError when a recipe does not say what to prune."""
    if not prunes(recipe):
        raise OptionError(
            "nothing says how much to prune",
            f"for example {option('prune', 'cycles=-30%')}, or {option('sparsity', '2:4')}",
        )
    if recipe.rounds is not None and recipe.rounds > 1 and recipe.max_drop is not None:
        raise OptionError(
            f"{option('rounds', recipe.rounds)}: the cuts that {option('max-drop')} tries are "
            "made in one round",
            "leave one of the two out",
        )


def require_layers(recipe: Recipe, model: ModelProto) -> None:
    """Raise now, before minutes are spent, what pruning would raise for the model's layers.

    ModelError when it has none to prune, OptionError for a glob of ``keep`` or ``only`` that names
    none.
    """
    if budget_of(recipe) is not None:
        require_prunable(model, recipe.keep, recipe.only)
    if recipe.sparsity is not None:
        require_sparsifiable(Graph(model), (*recipe.keep, *recipe.only))


class Pruning:
    """A recipe's model for one target, judged once and cut as often as it takes."""

    def __init__(
        self, model: ModelProto, calib: Samples, recipe: Recipe, target: Target, step: Step
    ) -> None:
        require_pruning(recipe)
        self.budget = budget_of(recipe)
        self._model = model
        self._recipe = recipe
        self._target = target
        self._step = step
        require_distilling(recipe, model)
        self._seen, self._held_out = parted(calib, recipe)
        self._pruner = None if self.budget is None else self._judged(self.budget, model)

    def _judged(self, budget: Budget, model: ModelProto, before: Before | None = None) -> Pruner:
        recipe = self._recipe
        dtype = "int8" if recipe.in_int8 else "float16"
        cost, channels = cost_of(budget, self._target, dtype)
        return Pruner(
            model,
            self._seen,
            cost=cost,
            step=channels,
            method=Method(
                criterion=recipe.criterion,
                # distillation starts from the closed form, see distilling.py
                recover="none" if recipe.recover == "none" else "least-squares",
                keep=recipe.keep,
                only=recipe.only,
            ),
            seed=recipe.seed,
            on_progress=self._step,
            before=before,
        )

    def write(self, output: Path, share: float | None = None) -> PruneResult:
        """Write the pruned model: to the budget, or another ``share`` of the same kind."""
        result = self._cut(output, share)
        return made_sparse(self._recipe, self._target, result, self._seen, self._step)

    def _cut(self, output: Path, share: float | None) -> PruneResult:
        drop = self._recipe.max_drop
        if self._pruner is None or self.budget is None:
            return untouched(self._model, output)
        if drop is None or self._held_out is None:
            budget = self.budget if share is None else Budget(self.budget.kind, share)
            rounds = self._recipe.rounds or usual_rounds(budget)
            again = partial(self._judged, budget)
            return prune_in_rounds(self._pruner, again, budget, rounds, output)
        scoring = scoring_of(self._recipe, self._model, self._held_out)
        judge = retention_on(self._model, self._held_out, scoring)
        return self._pruner.prune_within(drop, judge, self.budget, output)


def retention_on(
    model: ModelProto, held_out: Samples, scoring: Scoring
) -> Callable[[ModelProto], float]:
    """What is left of a model on held-out samples: of its metric, or of its own outputs.

    The metric where they have labels that fit, else the agreement of the first classes, else the
    cosine of the outputs.
    """
    measure, _ = judge_for(model, held_out, scoring)
    reference = _outputs(model, held_out)
    if measure is None:
        return lambda other: likeness(_joined(reference), _joined(_outputs(other, held_out)))[1]

    def score(rows: list[list[Array]]) -> float:
        return float(np.mean([measure.score(index, row) for index, row in enumerate(rows)]))

    whole = score(reference)

    def kept(other: ModelProto) -> float:
        found = score(_outputs(other, held_out))
        if measure.lower_is_better:
            return whole / found if found else 1.0
        return found / whole if whole else 1.0

    return kept


def _outputs(model: ModelProto, samples: Samples) -> list[list[Array]]:
    session = Session(model)
    return [session.run(feeds) for feeds in samples]


def _joined(rows: list[list[Array]]) -> list[Array]:
    return [np.concatenate(parts) for parts in zip(*rows, strict=True)]


def pruning_figure(
    result: PruneResult, cycles: float | None, macs: float | None, parameters: float | None
) -> PruningFigure:
    """What pruning did, for the report; the ratios are pruned over unpruned."""
    return PruningFigure(
        cycles_ratio=cycles,
        macs_ratio=macs,
        parameters_ratio=parameters,
        budget=result.budget.kind if result.budget else None,
        predicted_ratio=result.cost_after / result.cost_before if result.budget else None,
        measure=result.measure,
        curve=result.curve,
        groups=result.groups,
        blocks=result.blocks,
        attempts=result.attempts,
        choice=result.choice,
        distillation=result.distillation,
        sparsity=result.sparsity,
    )


def saved_share(budget: Budget, compiled: Conversion, unpruned: Conversion) -> float | None:
    """What the compiler says is saved; None for a budget that it does not measure."""
    if budget.kind == "cycles":
        return 1 - (ratio(compiled.cycles, unpruned.cycles) or 1.0)
    if budget.kind == "latency":
        after, before = (one.latency.ms if one.latency else None for one in (compiled, unpruned))
        return 1 - (ratio(after, before) or 1.0)
    return None


def budget_missed(budget: Budget, reached: float) -> Diagnostic:
    """The warning that the compiler saves less than was asked for."""
    return Diagnostic(
        "pruning-budget",
        f"the compiler says {-reached:.1%} {budget.kind}; {-budget.share:.1%} were asked for",
        "ask for a larger budget",
    )
