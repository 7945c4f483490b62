"""What is searched when nothing says otherwise: by the chip, and by what the recipe leaves open."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import product
from typing import Any

from ...convert.chips.targets import Target
from ...convert.latency.coefficients import is_fitted
from ...core.errors import OptionError
from ...core.results.tune_report import Setting
from ...quantize.choices.names import AUTO
from ...quantize.schemes import find_scheme
from ..options.option_table import options_of
from ..recipes.recipe import VERB, Recipe
from .list_settings import setting_of
from .points import Point
from .space import Knob, Space

_CUTS = (10, 20, 30)  # per cent
_ADDED = (5, 10, 20)  # per cent
_SCHEMES = ("w8a8", "w4a16", "float16")
# what decides most, and together: the first points have each with each
_CROSSED = ("scheme", "prune")
# what another option must be for one to have an effect
_COUNTS: Mapping[str, tuple[str, Callable[[Setting], bool]]] = {
    "rounds": ("prune", lambda prune: prune is not None),
    "criterion": ("prune", lambda prune: prune is not None),
    "recover": ("prune", lambda prune: prune is not None),
    "keep": ("prune", lambda prune: prune is not None),
    "only": ("prune", lambda prune: prune is not None),
    "method": ("scheme", lambda scheme: scheme != "float16"),
    "mixed": ("scheme", lambda scheme: scheme == "w8a8"),
    "train": ("scheme", lambda scheme: scheme != "float16"),
}


def search_space(
    recipe: Recipe,
    target: Target,
    goal: str,
    given: Mapping[str, Sequence[Any]],
    sizes: tuple[Setting, ...] = (),
) -> Space:
    """Return the knobs and the points to begin with.

    An option with values ``given`` is a knob with these; what the recipe sets itself is none. The
    first value of each is what the first point has. ``sizes`` are those of the input that the model
    can have, () where that is settled. Raises OptionError for a value that an option does not take,
    and where nothing is left to choose.
    """
    values = {
        name: default
        for name, default in _defaults(target, goal).items()
        if not recipe.is_explicit(name)
    }
    schemes = given.get("scheme") or values.get("scheme") or (recipe.quantize.scheme,)
    if "method" in values:
        values["method"] = _taken(values["method"], schemes)
    values |= {"size": sizes} if sizes else {}
    values |= {name: _checked(name, listed) for name, listed in given.items()}
    fixed = {"prune": recipe.prune.prune, "scheme": recipe.quantize.scheme}
    knobs = (_knob(name, values[name], fixed, values) for name in _in_order(values))
    space = Space(tuple(knob for knob in knobs if knob is not None))
    first = tuple(dict.fromkeys(_first(space)))
    if len(first) == 1:
        raise OptionError(
            "there is nothing to choose: every option of the search is set",
            "leave one out, or list several values of it under [tune] in the recipe",
        )
    return Space(space.knobs, first)


def _defaults(target: Target, goal: str) -> dict[str, tuple[Setting, ...]]:
    kind = "size" if goal == "size" else "latency" if is_fitted(target) else "cycles"
    cost = "latency" if is_fitted(target) else "cycles"
    return {
        "prune": (None, *(f"{kind}=-{cut}%" for cut in _CUTS)),
        "rounds": (None, 2),
        "scheme": tuple(name for name in _SCHEMES if name in target.dtypes),
        "method": ("auto", "mse"),
        "mixed": ("auto", "off", *(f"{cost}=+{added}%" for added in _ADDED)),
    }


def _taken(methods: Sequence[Setting], schemes: Sequence[Setting]) -> tuple[Setting, ...]:
    """Return those of some methods that one of some number formats takes, or chooses itself."""
    taken = {AUTO}.union(*(find_scheme(str(scheme)).methods for scheme in schemes))
    return tuple(method for method in methods if method in taken)


def _checked(name: str, listed: Sequence[Any]) -> tuple[Setting, ...]:
    """Return the values of a knob as a recipe has them. Raises OptionError."""
    by_name = {described.name: described for described in options_of(VERB)}
    described = by_name.get(name)
    if described is None or not listed:
        raise OptionError(
            f"[tune] {name.replace('_', '-')}: "
            + ("is no option of rockpress run" if described is None else "lists no value"),
            "docs/tune.md shows a section [tune]",
        )
    for value in listed:
        described.load(value)
        if isinstance(value, Mapping):
            raise OptionError(
                f"[tune] {described.flag}: a table cannot be searched", "set it above [tune]"
            )
    settings = (None if described.off and value == "off" else value for value in listed)
    return tuple(dict.fromkeys(map(setting_of, settings)))


def _in_order(names: Mapping[str, Any]) -> list[str]:
    """Return the names, each after the one that it needs."""
    needed = [other for other, _ in _COUNTS.values()]
    return sorted(names, key=lambda name: (name not in needed, name))


def _knob(
    name: str, values: tuple[Setting, ...], fixed: Mapping[str, Setting], searched: Collection[str]
) -> Knob | None:
    """Return a knob; None where what it needs is ``fixed``, and not so that it has an effect."""
    if name not in _COUNTS:
        return Knob(name, values)
    other, counts = _COUNTS[name]
    if other not in searched:
        return Knob(name, values) if counts(fixed[other]) else None
    return Knob(name, values, lambda before: other in before and counts(before[other]), other)


def _first(space: Space) -> list[Point]:
    """Return each budget in each number format, and each other value alone beside the start.

    The rest of these points is the first value of each knob, and so is the first point.
    """
    values = {knob.name: knob.values for knob in space.knobs}
    crossed = [name for name in _CROSSED if name in values]
    choices = product(*(values[name] for name in crossed))
    points = [space.canonical(dict(zip(crossed, choice, strict=True))) for choice in choices]
    for name in (name for name in values if name not in _CROSSED):
        points += [space.canonical({name: value}) for value in values[name][1:]]
    return points
