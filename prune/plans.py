"""How many channels every group keeps at a budget: the searched plan, and the uniform one.

The search adds up what each cut alone does to the outputs. Cuts made together may do more or less,
so the plan that ignores all of that is a candidate, too: the same share of every group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from ..core.errors import OptionError
from ..core.graph import Array
from .allocate import Point, allocate, by_sensitivity, given_back, removed_mask, uniform
from .candidates import Candidate
from .costs import CostModel
from .dependency import Dependency

SEARCHED, UNIFORM = "searched", "uniform"


class Plans:
    """The plans of one model for any budget; with the allocation ``uniform`` that one alone.

    ``whole_cost`` is what the model costs with all its channels.
    """

    def __init__(
        self,
        dependency: Dependency,
        candidates: Sequence[Candidate],
        costs: CostModel,
        allocation: str,
    ) -> None:
        self._dependency = dependency
        self._candidates = candidates
        self._by_name = {one.group.name: one for one in candidates}
        self._costs = costs
        self.whole_cost = costs.of({})
        self._searches = allocation == "sensitivity"
        self._even = _Path(uniform(candidates, costs))
        self._path = _Path(by_sensitivity(candidates, costs)) if self._searches else self._even

    def of(self, share: float) -> dict[str, Point]:
        """Name -> plan, of those that differ, the searched one first.

        Raises OptionError when none saves the share.
        """
        if not self._searches:
            return {UNIFORM: allocate(self._even, share)}
        plans = {SEARCHED: self.searched(share)}
        with suppress(OptionError):
            even = self._given_back(allocate(self._even, share), share)
            if even.widths != plans[SEARCHED].widths:
                plans[UNIFORM] = even
        return plans

    def searched(self, share: float) -> Point:
        """The first of them. Raises OptionError when it cannot save the share."""
        if not self._searches:
            return allocate(self._even, share)
        return self._given_back(allocate(self._path, share), share)

    def _given_back(self, point: Point, share: float) -> Point:
        return given_back(point, share, self._candidates, self._costs)

    def reach(self) -> float:
        """The largest share that can be saved."""
        return 1 - min(point.cost for point in self._path) / self.whole_cost

    def removed(self, point: Point) -> Array:
        """Mask over roots with the channels that a plan leaves out."""
        return removed_mask(self._dependency, self._by_name, point.widths)


class _Path:
    """Points in their order, worked out when first asked for."""

    def __init__(self, further: Iterator[Point]) -> None:
        self._known: list[Point] = []
        self._further = further

    def __iter__(self) -> Iterator[Point]:
        yield from self._known
        for point in self._further:
            self._known.append(point)
            yield point
