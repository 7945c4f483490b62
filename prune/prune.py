"""Prune a model to a budget, without labels and without training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf, isfinite
from pathlib import Path

from onnx import ModelProto

from ..core.errors import OptionError, SamplesError
from ..core.graphs.dense import with_biases
from ..core.graphs.graph import Graph
from ..core.graphs.layers import macs_of
from ..core.graphs.model import parameter_count, save_model
from ..core.progress import SILENT, Progress
from ..core.results.pruning_figures import CurvePoint, PlanChoice
from ..core.types import Array, Feeds
from .channels.channel_rules import build_dependency_graph
from .channels.layer_selection import all_groups, prunable_groups, select_groups
from .channels.merging import mergeable_pairs, merged
from .channels.surgery import remove_channels
from .repair.refit import Teacher, refit
from .results.budget import Budget
from .results.prune_result import PruneResult
from .search.allocate import ALLOCATIONS, PrunePlan, removed_mask
from .search.bisection import largest_share
from .search.costs import CostFunction, CostModel, layers_cost
from .search.divergence import JUDGING, RANKING, SampleSplit, error_on
from .search.plans import SEARCHED, PlanSearch
from .search.trials import Trials, kept_channels
from .search.width_candidates import CRITERIA, Candidate, candidates_of, layer_moments

RECOVERIES = ("least-squares", "none")

# of the plans, over the variance of the outputs
MEASURE = "squared error"

# the trade-off curve is measured at these multiples of the budget's share
_CURVE = (0.25, 0.5, 0.75, 1.0, 1.25)


@dataclass(frozen=True)
class PruneMethod:
    """How to prune: see CRITERIA, ALLOCATIONS and RECOVERIES.

    ``keep`` and ``only`` are globs over groups and layers; see layer_selection.py. ``seed`` decides
    at which positions of the samples statistics are taken.
    """

    criterion: str = "obs"
    allocation: str = "sensitivity"
    recover: str = "least-squares"
    keep: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        for kind, name, choices in (
            ("criterion", self.criterion, CRITERIA),
            ("allocation", self.allocation, ALLOCATIONS),
            ("recovery", self.recover, RECOVERIES),
        ):
            if name not in choices:
                raise OptionError(f"unknown {kind} {name!r}", f"one of: {', '.join(choices)}")

    @property
    def repairs(self) -> bool:
        """Return whether layers are refitted after a cut."""
        return self.recover == "least-squares"


class Pruner:
    """A model whose channels have been ranked, so that it can be cut to any budget.

    ``samples`` yields unlabelled calibration inputs (input name -> array, batch 1), as often as it
    is iterated over. Raises ModelError when the model has no channels that could be removed,
    SamplesError without samples, OptionError when a glob of the method names nothing. With a
    ``teacher`` the model is one that was cut before, and is repaired to give the teacher's outputs;
    ``twin`` is then the same cut, repaired without the samples that are held out. ``logits`` are
    the outputs that a Sigmoid reads on the host.
    """

    def __init__(
        self,
        model: ModelProto,
        samples: Iterable[Feeds],
        *,
        cost: CostFunction,
        method: PruneMethod | None = None,
        progress: Progress = SILENT,
        teacher: Teacher | None = None,
        twin: ModelProto | None = None,
        logits: tuple[str, ...] = (),
    ) -> None:
        self._model = whole = with_biases(model)
        self._samples, self._progress, self._logits = samples, progress, logits
        self._method = method or PruneMethod()
        is_free = teacher is None and not self._method.only  # to change layers that nobody named
        pairs = mergeable_pairs(Graph(whole), cost.of_layer, self._method.keep) if is_free else []
        self._model = merged(whole, pairs) if pairs else whole
        self._dependency = build_dependency_graph(Graph(self._model))
        if pairs and not all_groups(self._dependency):  # those between the two were all there are
            pairs, self._model = [], whole
            self._dependency = build_dependency_graph(Graph(whole))
        self._merged = tuple(first.node.name or first.weight for first, _ in pairs)
        self._teacher = teacher or Teacher(self._model, {})
        self._trials, self._candidates = self._rank(cost.step, is_whole=teacher is None)
        self._by_name = {candidate.group.name: candidate for candidate in self._candidates}
        self._costs = CostModel(self._dependency, self._candidates, cost.of_layer)
        self._plans = PlanSearch(
            self._dependency,
            self._candidates,
            self._costs,
            self._method.allocation,
            cost.of_model,
            (whole, layers_cost(Graph(whole), cost.of_layer)),
        )
        self._whole = whole
        self._twin = None if twin is None else with_biases(twin)

    def prune(self, budget: Budget, output: Path, twin: Path | None = None) -> PruneResult:
        """Write the model that saves the budget's share. Raises OptionError if none does.

        Of several plans the one is taken that does least harm on one of every four samples,
        when repaired with the others; it is then repaired with all. The former is written to
        ``twin``, if there are samples to hold out.
        """
        plans = self._plans.plans(budget.share)
        held_out, choice, best = list(SampleSplit(self._samples, JUDGING, alone=True)), None, None
        if held_out and len(plans) > 1:
            choice, best = self._least_harm(plans, held_out)
        elif held_out and twin is not None:  # with nothing to choose, its error tells nothing
            best = self._cut_apart(*plans.values())
        if twin is not None and best is not None:
            save_model(best, twin)
        plan = plans[choice.plan] if choice else next(iter(plans.values()))
        result = self._write(budget, plan, self._cut(plan), output)
        return replace(result, choice=choice)

    def _least_harm(
        self, plans: Mapping[str, PrunePlan], held_out: Sequence[Feeds]
    ) -> tuple[PlanChoice, ModelProto | None]:
        """Return which plan does least harm on samples, and its model repaired without them."""
        error_of = error_on(self._teacher.model, held_out)
        name, best, errors = next(iter(plans)), None, dict[str, float]()
        for each, plan in plans.items():
            model = self._cut_apart(plan)
            errors[each] = error_of(model)
            if best is None or _or_infinite(errors[each]) < _or_infinite(errors[name]):
                name, best = each, model
        return PlanChoice(name, MEASURE, errors), best

    def _cut_apart(self, plan: PrunePlan) -> ModelProto:
        """Return the model of a plan, repaired without the samples that are held out."""
        return self._cut(plan, SampleSplit(self._samples, JUDGING), self._twin)

    def teacher_after(self, result: PruneResult) -> Teacher:
        """Return the teacher for the Pruner that goes on with a result."""
        widths = {group.name: group.after for group in result.groups}
        widths |= {block.name: 0 for block in result.blocks if block.left_out}
        return self._teacher_of(removed_mask(self._dependency, self._by_name, widths))

    def _teacher_of(self, removed: Array) -> Teacher:
        return self._teacher.after(kept_channels(self._dependency, removed))

    def prune_within(
        self, drop: float, judge: Callable[[ModelProto], float], most: Budget, output: Path
    ) -> PruneResult:
        """Write the smallest model, within the budget ``most``, that loses no more than ``drop``.

        ``judge`` gives the retention of a model's outputs, 1 for all of it. The share is found by
        bisection, as if more pruning never retained more. Raises OptionError when every cut loses
        too much.
        """
        cuts: dict[float, tuple[PrunePlan, ModelProto]] = {}

        def retention(share: float) -> float:
            plan = self._plans.search(share)
            cuts[share] = plan, self._cut(plan)
            return judge(cuts[share][1])

        if (reach := min(most.share, self._plans.reach())) <= 0:
            raise OptionError(
                f"no cut saves any {most.kind}: all groups are narrower than its steps",
                "prune to macs or size instead, or do not prune",
            )
        attempts = largest_share(retention, 1 - drop, reach, self._progress)
        best = max(
            (attempt for attempt in attempts if attempt.retention >= 1 - drop),
            key=lambda attempt: attempt.share,
        )
        (plan, small), choice = cuts[best.share], None
        retentions = {SEARCHED: best.retention}
        for name, other in self._plans.plans(best.share).items():
            if name not in retentions:
                model = self._cut(other)
                retentions[name] = judge(model)
                if retentions[name] == max(retentions.values()) > best.retention:
                    plan, small = other, model
        if len(retentions) > 1:
            name = max(retentions, key=lambda name: retentions[name])
            choice = PlanChoice(name, "retention", retentions)
        result = self._write(Budget(most.kind, best.share), plan, small, output)
        return replace(result, attempts=tuple(attempts), choice=choice)

    def _rank(self, step: int, *, is_whole: bool) -> tuple[Trials, list[Candidate]]:
        """Measure every group that may be cut, at widths that are multiples of ``step``."""
        dependency, method = self._dependency, self._method
        # of a model that was cut before, the layers that a glob names may be removed already
        globs = method.keep, method.only
        if is_whole:
            groups = prunable_groups(dependency, *globs)
        else:
            groups = select_groups(dependency, all_groups(dependency), *globs)
        self._progress.step("statistics", 0, 1)
        # A layer fitted to as many samples as it has inputs can do without any of them on these
        fitted = SampleSplit(self._samples, RANKING)
        statistics, of_blocks = layer_moments(dependency, fitted, method.seed)
        trial_feeds = list(SampleSplit(self._samples, RANKING, alone=True)) or list(fitted)
        if not trial_feeds:
            raise SamplesError(
                "the samples can be read only once, but pruning reads them again to repair",
                "give a list, or an object that starts again whenever it is iterated over",
            )
        refitted = (statistics, of_blocks) if method.repairs else ({}, {})
        trials = Trials(dependency, trial_feeds, *refitted)
        candidates = candidates_of(
            dependency,
            groups,
            statistics,
            trials,
            step=step,
            criterion=method.criterion,
            progress=self._progress,
        )
        return trials, candidates

    def _cut(
        self,
        plan: PrunePlan,
        samples: Iterable[Feeds] | None = None,
        source: ModelProto | None = None,
    ) -> ModelProto:
        """Return the model of a plan, repaired with ``samples``, or with all of them.

        It is cut from ``source``, one with other weights, where there is one.
        """
        removed = self._plans.removed(plan)
        small = remove_channels(self._dependency, removed, source)
        if not self._method.repairs:
            return small
        samples = self._samples if samples is None else samples
        teacher, seed = self._teacher_of(removed), self._method.seed
        logits, progress = self._logits, self._progress
        return refit(teacher, small, samples, seed=seed, logits=logits, progress=progress)

    def _write(
        self, budget: Budget, plan: PrunePlan, small: ModelProto, output: Path
    ) -> PruneResult:
        save_model(small, output)
        measure, curve = self.curve(budget.share)
        return PruneResult(
            path=output,
            budget=budget,
            cost_before=self._plans.whole_cost,
            cost_after=self._plans.cost(plan),
            macs_before=macs_of(self._whole),
            macs_after=macs_of(small),
            parameters_before=parameter_count(self._whole),
            parameters_after=parameter_count(small),
            groups=self._plans.groups(plan),
            blocks=self._plans.blocks(plan),
            frozen=self._dependency.unknown,
            merged=self._merged,
            measure=measure,
            curve=curve,
        )

    def curve(self, share: float) -> tuple[str, tuple[CurvePoint, ...]]:
        """Return the name of the likeness, and points of some plans up to 1.25 times ``share``."""
        reached: list[PrunePlan] = []
        with suppress(OptionError):  # from there on no cut saves so much
            for factor in _CURVE:
                reached.append(self._plans.search(factor * share))
        plans = [plan for at, plan in enumerate(reached) if plan not in reached[:at]]
        points, measure = [], ""
        for done, plan in enumerate(plans):
            self._progress.step("trade-off curve", done, len(plans))
            measure, likeness = self._trials.likeness(self._plans.removed(plan))
            ratio = self._plans.cost(plan) / self._plans.whole_cost
            points.append(CurvePoint(ratio, plan.error, likeness))
        return measure, tuple(points)


def _or_infinite(error: float) -> float:
    """Return an error, and infinity for that of outputs that are not finite."""
    return error if isfinite(error) else inf
