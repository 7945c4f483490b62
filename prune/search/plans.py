"""How many channels every group keeps at a budget, and which blocks: the plans to choose from.

The search adds up what each cut alone does to the outputs. Cuts made together may do more or less,
so simpler plans are candidates, too: the one that keeps all blocks, and the one that ignores all
that was measured and takes the same share of every group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from ...core.errors import OptionError
from ...core.types import Array
from ..channels.dependency_graph import Dependency
from ..channels.layer_selection import names_of
from ..results.prune_result import PrunedBlock, PrunedGroup
from .allocate import Point, allocate, by_sensitivity, given_back, removed_mask, uniform
from .costs import CostModel
from .width_candidates import Candidate

SEARCHED, CHANNELS, UNIFORM = "searched", "channels", "uniform"


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
        self._blocks = [one for one in candidates if dependency.block_of(one.group.roots)]
        self._groups = [one for one in candidates if not dependency.block_of(one.group.roots)]
        self._by_name = {one.group.name: one for one in candidates}
        self._costs = costs
        self.whole_cost = costs.of({})
        self._searches = allocation == "sensitivity"
        self._even = _Path(uniform(candidates, costs))
        self._narrowed = _Path(by_sensitivity(self._groups, costs))
        self._path = self._even
        if self._searches:
            searched = _Path(by_sensitivity(candidates, costs))
            self._path = searched if self._blocks else self._narrowed

    def of(self, share: float) -> dict[str, Point]:
        """Name -> plan, of those that differ, the searched one first.

        Raises OptionError when none saves the share.
        """
        if not self._searches:
            return {UNIFORM: allocate(self._even, share)}
        plans = {SEARCHED: self.searched(share)}
        for name, path in ((CHANNELS, self._narrowed), (UNIFORM, self._even)):
            with suppress(OptionError):
                plan = self._given_back(allocate(path, share), share)
                if all(plan.widths != other.widths for other in plans.values()):
                    plans[name] = plan
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

    def groups(self, point: Point) -> tuple[PrunedGroup, ...]:
        """What a plan does to each group of channels."""
        return tuple(self._group(one, point) for one in self._groups)

    def blocks(self, point: Point) -> tuple[PrunedBlock, ...]:
        """What it does to each block that can be left out."""
        return tuple(self._block(one, point) for one in self._blocks)

    def _group(self, candidate: Candidate, point: Point) -> PrunedGroup:
        name, size = candidate.group.name, candidate.group.size
        kept = point.widths.get(name, size)
        return PrunedGroup(
            name=name,
            before=size,
            after=kept,
            error=candidate.errors.get(kept, 0.0),
            saved=self._share_saved(name, point),
            sensitivity={width: candidate.errors[width] for width in candidate.measured},
            layers=tuple(sorted(names_of(self._dependency, candidate.group))),
        )

    def _block(self, candidate: Candidate, point: Point) -> PrunedBlock:
        name, layers = candidate.group.name, names_of(self._dependency, candidate.group)
        return PrunedBlock(
            name=name,
            left_out=name in point.widths,
            error=candidate.errors[0],
            saved=self._share_saved(name, point),
            layers=tuple(sorted(layers - {name})),
        )

    def _share_saved(self, name: str, point: Point) -> float:
        """What one cut saves of the whole model's cost when the others are made already."""
        if name not in point.widths:
            return 0.0
        others = {group: width for group, width in point.widths.items() if group != name}
        return self._costs.change(others, name, point.widths[name]) / self.whole_cost


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
