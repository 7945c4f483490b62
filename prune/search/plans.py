"""How many channels every group keeps at a budget, and which blocks: the plans to choose from.

The search adds up the error of each cut alone. The error of cuts made together may be larger or
smaller, so other plans are candidates, too: the one that adds up the roots of the errors, the one
that keeps all blocks, and the one that ignores all that was measured and takes the same share of
every group. An error is the square of what an output is off by: where the cuts shift it in
different ways the squares add up, where they shift it alike what it is off by does, and then few
deep cuts do less harm than many small ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import sqrt

from onnx import ModelProto

from ...core.errors import OptionError
from ...core.results.pruning_figures import PrunedBlock, PrunedGroup
from ...core.types import Array
from ..channels.dependency_graph import DependencyGraph
from ..channels.layer_selection import names_of
from ..channels.surgery import remove_channels
from .allocate import PrunePlan, allocate, by_sensitivity, relax_plan, removed_mask, uniform
from .costs import CostModel
from .share_of_model import plan_of_share
from .width_candidates import Candidate

SEARCHED, CONCENTRATED, CHANNELS, UNIFORM = "searched", "concentrated", "channels", "uniform"


class PlanSearch:
    """The plans of one model for any budget; with the allocation ``uniform`` that one alone.

    ``whole_cost`` is what the model costs with all its channels. With ``of_model`` a plan costs
    what that says of the model that it leaves, and layers tell only where a cut saves most.
    ``whole`` is the model that the shares are of where another one is cut, and its layers' cost.
    """

    def __init__(
        self,
        dependency: DependencyGraph,
        candidates: Sequence[Candidate],
        costs: CostModel,
        allocation: str,
        of_model: Callable[[ModelProto], float] | None = None,
        whole: tuple[ModelProto, float] | None = None,
    ) -> None:
        self._dependency = dependency
        self._candidates = candidates
        self._by_name = {candidate.group.name: candidate for candidate in candidates}
        self._blocks, self._groups = list[Candidate](), list[Candidate]()
        for candidate in candidates:
            is_block = dependency.block_of(candidate.group.roots) is not None
            (self._blocks if is_block else self._groups).append(candidate)
        self._costs = costs
        self._of_model = None if of_model is None else _CostOfCuts(dependency, of_model)
        self._of_layers = whole[1] if whole else costs.total({})
        self.whole_cost = self._of_layers
        if of_model is not None:
            self.whole_cost = of_model(whole[0] if whole else dependency.graph.model)
        self._searches = allocation == "sensitivity"
        self._uniform = _LazyPlans(uniform(candidates, costs))
        self._narrowed = _LazyPlans(by_sensitivity(self._groups, costs))
        self._concentrated = _LazyPlans(by_sensitivity(_with_roots(candidates), costs))
        self._searched = self._uniform
        if self._searches:
            with_blocks = _LazyPlans(by_sensitivity(candidates, costs))
            self._searched = with_blocks if self._blocks else self._narrowed

    def plans(self, share: float) -> dict[str, PrunePlan]:
        """Return name -> plan, of those that differ, the searched one first.

        Raises OptionError when none saves the share.
        """
        if not self._searches:
            return {UNIFORM: self.search(share)}
        plans = {SEARCHED: self.search(share)}
        others = (
            (CONCENTRATED, self._concentrated),
            (CHANNELS, self._narrowed),
            (UNIFORM, self._uniform),
        )
        for name, steps in others:
            with suppress(OptionError):
                plan = self._saving(steps, share)
                if all(plan.widths != other.widths for other in plans.values()):
                    plans[name] = plan
        return plans

    def search(self, share: float) -> PrunePlan:
        """Return the first of the plans. Raises OptionError when it cannot save the share."""
        return self._saving(self._searched if self._searches else self._uniform, share)

    def _saving(self, steps: Iterable[PrunePlan], share: float) -> PrunePlan:
        """Return the plan that saves a share: by its layers, or by the model that it leaves."""
        if self._of_model is None:
            return self._by_layers(steps, share)
        return plan_of_share(
            partial(self._by_layers, steps), lambda plan: self.cost(plan) / self.whole_cost, share
        )

    def _by_layers(self, steps: Iterable[PrunePlan], share: float) -> PrunePlan:
        plan = allocate(steps, share, self._of_layers)
        if not self._searches:
            return plan
        return relax_plan(plan, share, self._candidates, self._costs, self._of_layers)

    def cost(self, plan: PrunePlan) -> float:
        """Return what the model of a plan costs."""
        return plan.cost if self._of_model is None else self._of_model(self.removed(plan))

    def reach(self) -> float:
        """Return the largest share that can be saved."""
        smallest = min(self._searched, key=lambda plan: plan.cost)
        return 1 - self.cost(smallest) / self.whole_cost

    def removed(self, plan: PrunePlan) -> Array:
        """Return a mask over roots, True for the channels that a plan removes."""
        return removed_mask(self._dependency, self._by_name, plan.widths)

    def groups(self, plan: PrunePlan) -> tuple[PrunedGroup, ...]:
        """Return the cut that a plan makes in each group of channels."""
        return tuple(self._group(candidate, plan) for candidate in self._groups)

    def blocks(self, plan: PrunePlan) -> tuple[PrunedBlock, ...]:
        """Return for each block that can be removed whether a plan does."""
        return tuple(self._block(candidate, plan) for candidate in self._blocks)

    def _group(self, candidate: Candidate, plan: PrunePlan) -> PrunedGroup:
        name, size = candidate.group.name, candidate.group.size
        width = plan.widths.get(name, size)
        return PrunedGroup(
            name=name,
            before=size,
            after=width,
            error=candidate.errors.get(width, 0.0),
            saved=self._share_saved(name, plan),
            sensitivity={width: candidate.errors[width] for width in candidate.measured},
            layers=tuple(sorted(names_of(self._dependency, candidate.group))),
        )

    def _block(self, candidate: Candidate, plan: PrunePlan) -> PrunedBlock:
        name, layers = candidate.group.name, names_of(self._dependency, candidate.group)
        return PrunedBlock(
            name=name,
            left_out=name in plan.widths,
            error=candidate.errors[0],
            saved=self._share_saved(name, plan),
            layers=tuple(sorted(layers - {name})),
        )

    def _share_saved(self, name: str, plan: PrunePlan) -> float:
        """Return the share of the whole cost that one cut saves after all others of a plan."""
        if name not in plan.widths:
            return 0.0
        others = {group: width for group, width in plan.widths.items() if group != name}
        return self._costs.saving(others, name, plan.widths[name]) / self._of_layers


def _with_roots(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return the candidates with the square roots of their errors."""
    return [
        replace(candidate, errors={width: sqrt(error) for width, error in candidate.errors.items()})
        for candidate in candidates
    ]


class _CostOfCuts:
    """What a model costs without some channels; each cut is worked out once."""

    def __init__(
        self, dependency: DependencyGraph, of_model: Callable[[ModelProto], float]
    ) -> None:
        self._dependency, self._of_model = dependency, of_model
        self._costs: dict[bytes, float] = {}

    def __call__(self, removed: Array) -> float:
        key = removed.tobytes()
        if key not in self._costs:
            self._costs[key] = self._of_model(remove_channels(self._dependency, removed))
        return self._costs[key]


class _LazyPlans:
    """Plans in their order, worked out when first asked for."""

    def __init__(self, further: Iterator[PrunePlan]) -> None:
        self._plans: list[PrunePlan] = []
        self._further = further

    def __iter__(self) -> Iterator[PrunePlan]:
        yield from self._plans
        for plan in self._further:
            self._plans.append(plan)
            yield plan
