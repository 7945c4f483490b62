"""Which group loses how many channels: the least output error for the cost saved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...core.errors import OptionError
from ...core.types import Array
from ..channels.dependency_graph import DependencyGraph
from .costs import CostModel, Widths
from .width_candidates import Candidate

ALLOCATIONS = ("sensitivity", "uniform")

# a move that saves nothing by itself may open the way to one that does; it must not be free
_EPSILON = 1e-9
_ROUNDING = 1e-9  # of a cost, relative
_RATIOS = 256  # so many ratios does the uniform allocation try
_Move = tuple[float, str, int, float, float]  # price, group, width, cost saved, added error


@dataclass(frozen=True)
class PrunePlan:
    """Group name -> channels kept, the cost of the model then, and the sum of the cuts' errors."""

    widths: Widths
    cost: float
    error: float


def removed_mask(
    dependency: DependencyGraph, candidates: Mapping[str, Candidate], widths: Widths
) -> Array:
    """Return a mask over roots, True for the channels that the widths leave out."""
    removed = dependency.empty_mask()
    for name, width in widths.items():
        candidate = candidates[name]
        removed[candidate.group.roots[candidate.removed(width)]] = True
    return removed


def by_sensitivity(candidates: Sequence[Candidate], model: CostModel) -> Iterator[PrunePlan]:
    """Yield the plans from the whole model to the smallest one, cut by cut.

    Greedy: of all moves of one group to a smaller width, take the one with the least added error
    per cost saved. Errors of groups are taken to add up.
    """
    by_name = {candidate.group.name: candidate for candidate in candidates}
    plan = PrunePlan({}, model.total({}), 0.0)
    yield plan
    best = {name: _best_move(candidate, plan.widths, model) for name, candidate in by_name.items()}
    while moves := [move for move in best.values() if move is not None]:
        _, name, width, saved, error = min(moves, key=lambda move: move[0])
        plan = PrunePlan({**plan.widths, name: width}, plan.cost - saved, plan.error + error)
        yield plan
        for other in model.sharing_with(name) & best.keys():  # other moves save what they did
            best[other] = _best_move(by_name[other], plan.widths, model)


def uniform(candidates: Sequence[Candidate], model: CostModel) -> Iterator[PrunePlan]:
    """Yield plans that cut the same share of every group, ever more: the baseline."""
    for ratio in range(_RATIOS):
        widths = {}
        for candidate in candidates:
            least = candidate.group.size * (1 - ratio / _RATIOS)
            allowed = [width for width in candidate.errors if width >= least]
            if least < candidate.group.size and allowed:
                widths[candidate.group.name] = min(allowed)
        errors = (
            candidate.errors.get(widths.get(candidate.group.name, -1), 0.0)
            for candidate in candidates
        )
        yield PrunePlan(widths, model.total(widths), sum(errors))


def allocate(plans: Iterable[PrunePlan], share: float, whole: float | None = None) -> PrunePlan:
    """Return the first plan that saves ``share`` of what the whole model costs.

    By default the first plan is the whole model. Raises OptionError when none does.
    """
    costs = []
    for plan in plans:
        costs.append(plan.cost)
        whole = costs[0] if whole is None else whole
        if plan.cost <= _limit(whole, share):
            return plan
    raise OptionError(
        f"the budget of {-share:+.1%} is out of reach: pruning this model gives "
        f"{min(costs) / (whole or costs[0]) - 1:+.1%} at most",
        "ask for less",
    )


def _limit(cost: float, share: float) -> float:
    """Return the cost that may be left; a share that came of a cost is not missed by rounding."""
    return cost * (1 - share) * (1 + _ROUNDING)


def relax_plan(
    plan: PrunePlan,
    share: float,
    candidates: Sequence[Candidate],
    model: CostModel,
    whole: float | None = None,
) -> PrunePlan:
    """Return the cuts of a plan as far as ``share`` needs them: the last may have saved more.

    Each group, the most harmful first, gets the widest width with which the share is still saved.
    The ``whole`` is what the model costs that the share is of, as in ``allocate``.
    """
    limit = _limit(model.total({}) if whole is None else whole, share)
    by_name = {candidate.group.name: candidate for candidate in candidates}
    widths = dict(plan.widths)
    for name in sorted(widths, key=lambda name: -by_name[name].errors[widths[name]]):
        wider = [width for width in by_name[name].errors if width > widths[name]]
        others = {other: width for other, width in widths.items() if other != name}
        choices = [others, *({**widths, name: width} for width in sorted(wider, reverse=True))]
        widths = next((choice for choice in choices if model.total(choice) <= limit), widths)
    error = sum(by_name[name].errors[width] for name, width in widths.items())
    return PrunePlan(widths, model.total(widths), error)


def _best_move(candidate: Candidate, widths: Widths, model: CostModel) -> _Move | None:
    """Return the cut of a group with the least added error per cost saved, None without cuts."""
    name = candidate.group.name
    present = widths.get(name, candidate.group.size)
    error = candidate.errors.get(present, 0.0)
    best: _Move | None = None
    for width in candidate.errors:
        if width < present and (saved := model.saving(widths, name, width)) >= 0:
            added = max(0.0, candidate.errors[width] - error)
            price = (added + _EPSILON) / max(saved, _EPSILON)
            if best is None or price < best[0]:
                best = (price, name, width, saved, added)
    return best
