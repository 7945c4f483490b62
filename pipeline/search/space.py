"""What a search may choose from: the knobs, each with its values, and points to begin with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ...core.results.tune_report import Setting
from .points import Point


@dataclass(frozen=True)
class Knob:
    """An option with the values to choose from, in their order.

    ``counts`` says for the values of the knobs before it whether it changes anything; where it does
    not, it is no part of the point, so that no two points are the same work. It may go by the value
    of one that it ``needs``.
    """

    name: str
    values: tuple[Setting, ...]
    counts: Callable[[Mapping[str, Setting]], bool] = field(default=lambda before: True)
    needs: str = ""


@dataclass(frozen=True)
class Space:
    """All knobs, in an order in which each follows those that it depends on, and first points."""

    knobs: tuple[Knob, ...]
    first: tuple[Point, ...] = ()

    def point(self, choose: Callable[[Knob], Setting]) -> Point:
        """Return the point of what ``choose`` says for each knob that counts."""
        chosen: dict[str, Setting] = {}
        for knob in self.knobs:
            if knob.counts(chosen):
                chosen[knob.name] = choose(knob)
        return Point.of(chosen)

    def canonical(self, settings: Mapping[str, Setting]) -> Point:
        """Return the point of some settings, the first value for what they leave out.

        Raises ValueError for a value that its knob does not have.
        """

        def choose(knob: Knob) -> Setting:
            value = settings.get(knob.name, knob.values[0])
            if value not in knob.values:
                raise ValueError(f"{knob.name} has no value {value!r}")
            return value

        return self.point(choose)

    def settings_with(self, knob: Knob, value: Setting) -> Iterator[Mapping[str, Setting]]:
        """Yield a value of a knob, where it needs another with each of those it has an effect with.

        >>> prune = Knob("prune", (None, "macs=-9%"))
        >>> keep = Knob("keep", ("[]",), lambda before: before["prune"] is not None, "prune")
        >>> list(Space((prune, keep)).settings_with(keep, "[]"))
        [{'prune': 'macs=-9%', 'keep': '[]'}]
        """
        if not knob.needs:
            yield {knob.name: value}
        for other in (each for each in self.knobs if each.name == knob.needs):
            settings = ({other.name: each} for each in other.values)
            yield from ({**each, knob.name: value} for each in settings if knob.counts(each))

    def is_covered_by(self, points: Collection[Point]) -> bool:
        """Return whether ``points`` are all that there are; looks at one more than these at most.

        >>> small = Space((Knob("scheme", ("w8a8", "float16")),))
        >>> small.is_covered_by([Point.of({"scheme": "w8a8"})])
        False
        """
        return all(Point.of(settings) in points for settings in self._choices(self.knobs, {}))

    def _choices(
        self, knobs: Sequence[Knob], before: Mapping[str, Setting]
    ) -> Iterator[Mapping[str, Setting]]:
        """Yield each choice of the values of some knobs, after that of those before them."""
        if not knobs:
            yield before
            return
        knob, *others = knobs
        if not knob.counts(before):
            yield from self._choices(others, before)
            return
        for value in knob.values:
            yield from self._choices(others, {**before, knob.name: value})
