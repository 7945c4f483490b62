"""Prune a model to a budget, without labels and without training."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from onnx import ModelProto

from ..core.errors import OptionError, SamplesError
from ..core.graphs.dense import with_biases
from ..core.graphs.graph import Graph
from ..core.graphs.layers import macs_of
from ..core.graphs.model import parameter_count, save_model
from ..core.types import Array, Feeds
from .budget import Budget
from .channels.dependency_graph import build_dependency
from .channels.layer_selection import all_groups, prunable, selected
from .channels.surgery import remove_channels
from .prune_result import CurvePoint, PlanChoice, PruneResult
from .repair.refit import Before, refit
from .search.allocate import ALLOCATIONS, Point, removed_mask
from .search.bisection import largest_share
from .search.costs import Cost, CostModel
from .search.plans import SEARCHED, Plans
from .search.sample_split import JUDGING, RANKING, Part, divergence_on
from .search.trials import Trials, cuts_of
from .search.width_candidates import CRITERIA, Candidate, candidates_of, layer_moments

RECOVERIES = ("least-squares", "none")

# the trade-off curve is measured at these parts of the budget's share
_CURVE = (0.25, 0.5, 0.75, 1.0, 1.25)


@dataclass(frozen=True)
class Method:
    """How to prune: see CRITERIA, ALLOCATIONS and RECOVERIES.

    ``keep`` and ``only`` are globs over groups and layers; see selection.py.
    """

    criterion: str = "obs"
    allocation: str = "sensitivity"
    recover: str = "least-squares"
    keep: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for what, given, known in (
            ("criterion", self.criterion, CRITERIA),
            ("allocation", self.allocation, ALLOCATIONS),
            ("recovery", self.recover, RECOVERIES),
        ):
            if given not in known:
                raise OptionError(f"unknown {what} {given!r}", f"one of: {', '.join(known)}")


Observer = Callable[[str, int, int], None]


def prune(
    model: ModelProto,
    output: Path,
    samples: Iterable[Feeds],
    budget: Budget,
    *,
    cost: Cost,
    step: int = 32,
    method: Method | None = None,
    seed: int = 0,
    on_progress: Observer = lambda what, done, total: None,
) -> PruneResult:
    """Remove channels from a prepared model until ``cost`` has fallen by the budget's share.

    Writes it to ``output``. Arguments and errors are those of Pruner, which is for many budgets.
    """
    pruner = Pruner(
        model,
        samples,
        cost=cost,
        step=step,
        method=method or Method(),
        seed=seed,
        on_progress=on_progress,
    )
    return pruner.prune(budget, output)


class Pruner:
    """A model whose channels have been judged, so that it can be cut to any budget.

    ``samples`` yields unlabelled calibration inputs (input name -> array, batch 1), as often as it
    is iterated over; ``cost`` gives the cost of a layer, and ``step`` the number of channels at
    which it changes. Raises ModelError when the model has no channels that could be removed,
    SamplesError without samples, OptionError when a glob of the method names nothing. With
    ``before`` the model is one that was cut already, and is repaired to do what that did at first.
    """

    def __init__(
        self,
        model: ModelProto,
        samples: Iterable[Feeds],
        *,
        cost: Cost,
        step: int = 32,
        method: Method,
        seed: int = 0,
        on_progress: Observer = lambda what, done, total: None,
        before: Before | None = None,
    ) -> None:
        self._model = with_biases(model)
        self._before = before or Before(self._model, {})
        self._samples = samples
        self._method = method
        self._seed = seed
        self._on_progress = on_progress
        self._dependency = build_dependency(Graph(self._model))
        self._trials, self._candidates = self._judged(step, is_whole=before is None)
        self._by_name = {candidate.group.name: candidate for candidate in self._candidates}
        self._costs = CostModel(self._dependency, self._candidates, cost)
        self._plans = Plans(self._dependency, self._candidates, self._costs, method.allocation)

    def prune(self, budget: Budget, output: Path) -> PruneResult:
        """Write the model that saves the budget's share. Raises OptionError if none does.

        Of several plans the one is taken that does least harm on every fourth sample, when
        repaired with the others; it is then repaired with all.
        """
        plans = self._plans.of(budget.share)
        choice = None
        if len(plans) > 1 and (held_out := list(Part(self._samples, JUDGING, alone=True))):
            judge, rest = divergence_on(self._before.model, held_out), Part(self._samples, JUDGING)
            found = {name: judge(self._cut(point, rest)) for name, point in plans.items()}
            best = min(found, key=lambda name: found[name])
            choice = PlanChoice(best, "divergence", found)
        point = plans[choice.plan] if choice else next(iter(plans.values()))
        result = self._saved(budget, point, self._cut(point), output)
        return replace(result, choice=choice)

    def before(self, result: PruneResult) -> Before:
        """What a result was, for the Pruner that goes on with it."""
        widths = {group.name: group.after for group in result.groups}
        widths |= {block.name: 0 for block in result.blocks if block.left_out}
        return self._then(removed_mask(self._dependency, self._by_name, widths))

    def _then(self, removed: Array) -> Before:
        return self._before.then(cuts_of(self._dependency, removed))

    def prune_within(
        self, drop: float, judge: Callable[[ModelProto], float], most: Budget, output: Path
    ) -> PruneResult:
        """Write the smallest model, within the budget ``most``, that loses no more than ``drop``.

        ``judge`` gives what is left of a model's outputs, 1 for all of it. The share is found by
        bisection, as if more pruning never kept more. Raises OptionError when no cut keeps enough.
        """
        made: dict[float, tuple[Point, ModelProto]] = {}

        def retention(share: float) -> float:
            point = self._plans.searched(share)
            made[share] = point, self._cut(point)
            return judge(made[share][1])

        if (reach := min(most.share, self._plans.reach())) <= 0:
            raise OptionError(
                f"no cut saves any {most.kind}: all groups are narrower than its steps",
                "prune to macs or size instead, or do not prune",
            )
        report = _named(self._on_progress, "try budgets")
        attempts = largest_share(retention, 1 - drop, reach, report)
        best = max(
            (one for one in attempts if one.retention >= 1 - drop), key=lambda one: one.share
        )
        (point, small), choice = made[best.share], None
        kept = {SEARCHED: best.retention}
        for name, plan in self._plans.of(best.share).items():
            if name not in kept:
                other = self._cut(plan)
                kept[name] = judge(other)
                if kept[name] == max(kept.values()) > best.retention:
                    point, small = plan, other
        if len(kept) > 1:
            choice = PlanChoice(max(kept, key=lambda name: kept[name]), "retention", kept)
        result = self._saved(Budget(most.kind, best.share), point, small, output)
        return replace(result, attempts=tuple(attempts), choice=choice)

    def _judged(self, step: int, *, is_whole: bool) -> tuple[Trials, list[Candidate]]:
        dependency, method = self._dependency, self._method
        # of a model that was cut already, what is to be cut or kept may be gone
        globs = method.keep, method.only
        if is_whole:
            groups = prunable(dependency, *globs)
        else:
            groups = selected(dependency, all_groups(dependency), *globs)
        self._on_progress("statistics", 0, 1)
        # A layer fitted to as many samples as it has inputs can do without any of them on these
        fitted = Part(self._samples, RANKING)
        statistics, of_blocks = layer_moments(dependency, fitted, self._seed)
        few = list(Part(self._samples, RANKING, alone=True)) or list(fitted)
        if not few:
            raise SamplesError(
                "the samples can be read only once, but pruning reads them again to repair",
                "give a list, or an object that starts again whenever it is iterated over",
            )
        refitted = (statistics, of_blocks) if self._repairs else ({}, {})
        trials = Trials(dependency, few, *refitted)
        candidates = candidates_of(
            dependency,
            groups,
            statistics,
            trials,
            step=step,
            criterion=method.criterion,
            on_progress=_named(self._on_progress, "measure groups"),
        )
        return trials, candidates

    @property
    def _repairs(self) -> bool:
        return self._method.recover == "least-squares"

    def _cut(self, point: Point, samples: Iterable[Feeds] | None = None) -> ModelProto:
        """The model of a plan, repaired with all samples or with these."""
        removed = self._plans.removed(point)
        small = remove_channels(self._dependency, removed)
        if not self._repairs:
            return small
        then, report = self._then(removed), _named(self._on_progress, "refit layers")
        samples = self._samples if samples is None else samples
        return refit(then.model, small, then.cuts, samples, seed=self._seed, on_progress=report)

    def _saved(self, budget: Budget, point: Point, small: ModelProto, output: Path) -> PruneResult:
        save_model(small, output)
        measure, curve = self.curve(budget.share)
        return PruneResult(
            path=output,
            budget=budget,
            cost_before=self._plans.whole_cost,
            cost_after=self._costs.of(point.widths),
            macs_before=macs_of(self._model),
            macs_after=macs_of(small),
            parameters_before=parameter_count(self._model),
            parameters_after=parameter_count(small),
            groups=self._plans.groups(point),
            blocks=self._plans.blocks(point),
            frozen=self._dependency.unknown,
            measure=measure,
            curve=curve,
        )

    def curve(self, share: float) -> tuple[str, tuple[CurvePoint, ...]]:
        """Some searched plans up to the budget and a little beyond, with what is left there."""
        reached: list[Point] = []
        with suppress(OptionError):  # from there on no cut saves so much
            for part in _CURVE:
                reached.append(self._plans.searched(part * share))
        points = [one for at, one in enumerate(reached) if one not in reached[:at]]
        found, measure = [], ""
        for done, point in enumerate(points):
            self._on_progress("trade-off curve", done, len(points))
            measure, value = self._trials.likeness(self._plans.removed(point))
            ratio = point.cost / self._plans.whole_cost
            found.append(CurvePoint(ratio, point.error, value))
        return measure, tuple(found)


def _named(on_progress: Observer, what: str) -> Callable[[int, int], None]:
    return lambda done, total: on_progress(what, done, total)
