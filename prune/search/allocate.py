"""Which group gives up how many channels: the least output error for the cost saved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...core.errors import OptionError
from ...core.types import Array
from ..channels.dependency_graph import Dependency
from .costs import CostModel, Widths
from .width_candidates import Candidate

ALLOCATIONS = ("sensitivity", "uniform")

# a move that saves nothing by itself may open the way to one that does; it must not be free
_EPSILON = 1e-9
_ROUNDING = 1e-9  # of a cost, relative
_RATIOS = 256  # so many ratios does the uniform allocation try
_Move = tuple[float, str, int, float, float]  # price, group, width, what it saves, added error


@dataclass(frozen=True)
class Point:
    """Group name -> channels kept, what the model then costs, and the errors of its cuts added."""

    widths: Widths
    cost: float
    error: float


def removed_mask(
    dependency: Dependency, candidates: Mapping[str, Candidate], widths: Widths
) -> Array:
    """Mask over roots with the channels that the widths leave out."""
    removed = dependency.nothing_removed()
    for name, kept in widths.items():
        candidate = candidates[name]
        removed[candidate.group.roots[candidate.removed(kept)]] = True
    return removed


def by_sensitivity(candidates: Sequence[Candidate], model: CostModel) -> Iterator[Point]:
    """From the whole model to the smallest one, cut by cut.

    Greedy: of all moves of one group to a smaller width, take the one with the least added error
    per cost saved. Errors of groups are taken to add up.
    """
    by_name = {candidate.group.name: candidate for candidate in candidates}
    now = Point({}, model.of({}), 0.0)
    yield now
    best = {name: _best_move(one, now.widths, model) for name, one in by_name.items()}
    while moves := [move for move in best.values() if move is not None]:
        _, name, kept, saved, error = min(moves, key=lambda move: move[0])
        now = Point({**now.widths, name: kept}, now.cost - saved, now.error + error)
        yield now
        for other in model.sharing_with(name) & best.keys():  # other moves save what they did
            best[other] = _best_move(by_name[other], now.widths, model)


def uniform(candidates: Sequence[Candidate], model: CostModel) -> Iterator[Point]:
    """The same share from every group, ever more: the baseline that ignores what a cut costs."""
    for part in range(_RATIOS):
        widths = {}
        for candidate in candidates:
            left = candidate.group.size * (1 - part / _RATIOS)
            allowed = [kept for kept in candidate.errors if kept >= left]
            if left < candidate.group.size and allowed:
                widths[candidate.group.name] = min(allowed)
        errors = (
            candidate.errors.get(widths.get(candidate.group.name, -1), 0.0)
            for candidate in candidates
        )
        yield Point(widths, model.of(widths), sum(errors))


def allocate(points: Iterable[Point], share: float) -> Point:
    """The first of the points that saves ``share`` of the whole model's cost, which comes first.

    Raises OptionError when none does.
    """
    costs = []
    for point in points:
        costs.append(point.cost)
        if point.cost <= _limit(costs[0], share):
            return point
    raise OptionError(
        f"the budget of {-share:+.1%} is out of reach: pruning this model gives "
        f"{min(costs) / costs[0] - 1:+.1%} at most",
        "ask for less",
    )


def _limit(cost: float, share: float) -> float:
    """What may be left of a cost; a share that came of such a cost is not missed by rounding."""
    return cost * (1 - share) * (1 + _ROUNDING)


def given_back(
    point: Point, share: float, candidates: Sequence[Candidate], model: CostModel
) -> Point:
    """The same cuts, as far as they are needed: the last ones may have saved more than ``share``.

    Each group, the most harmful first, gets the widest width with which the share is still saved.
    """
    limit = _limit(model.of({}), share)
    by_name = {candidate.group.name: candidate for candidate in candidates}
    widths = dict(point.widths)
    for name in sorted(widths, key=lambda name: -by_name[name].errors[widths[name]]):
        wider = [width for width in by_name[name].errors if width > widths[name]]
        whole = {other: width for other, width in widths.items() if other != name}
        choices = [whole, *({**widths, name: width} for width in sorted(wider, reverse=True))]
        widths = next((one for one in choices if model.of(one) <= limit), widths)
    error = sum(by_name[name].errors[width] for name, width in widths.items())
    return Point(widths, model.of(widths), error)


def _best_move(candidate: Candidate, widths: Widths, model: CostModel) -> _Move | None:
    """Of a group to a smaller width: the one with the least added error per cost saved."""
    name = candidate.group.name
    now = widths.get(name, candidate.group.size)
    error = candidate.errors.get(now, 0.0)
    best: _Move | None = None
    for kept in candidate.errors:
        if kept < now and (saved := model.change(widths, name, kept)) >= 0:
            added = max(0.0, candidate.errors[kept] - error)
            price = (added + _EPSILON) / max(saved, _EPSILON)
            if best is None or price < best[0]:
                best = (price, name, kept, saved, added)
    return best
