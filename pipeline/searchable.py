"""Which options and values a search may choose from, and what of a recipe has no say in one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..core.diagnostics import Diagnostic, option
from ..core.errors import OptionError, PackageError, RockpressError
from .inputs import open_inputs
from .options.option_table import homes_of
from .recipes.recipe import Recipe
from .requirements import require_packages, require_possible, trains
from .search.space import Knob, Space
from .search.trial_recipe import with_settings

# they say on what chip, of which samples and by what limits the points are judged
_SAME_FOR_ALL = ("run", "gates", "latency", "check", "predict", "board", "bench", "tune", "explain")
_JUDGING = ("eval", "eval_count", "eval_part", "metric", "metric_option", "toolkit_python")
_TRAINED_BY = {
    **{"train_steps": "train", "train_time": "train"},
    **{"recover_steps": "recover", "recover_time": "recover"},
}
# what decides whether the model and the samples of a point can be opened, by group and by option
_OPENED = ("shape", "preprocessing", "samples")
_NAMING_LAYERS = ("keep", "only")


def require_searchable(recipe: Recipe, values: Mapping[str, Sequence[Any]]) -> None:
    """Raise OptionError for an option that cannot be searched.

    ``values`` are those to choose from, by the names of the options.
    """
    for name in values:
        flag = name.replace("_", "-")
        groups = {group for group, _ in homes_of(name)}
        if name in _JUDGING or groups & {*_SAME_FOR_ALL}:
            raise OptionError(
                f"[tune] {flag}: all points have the same, or they could not be compared",
                "set it above [tune]",
            )
        if recipe.is_explicit(name) and name != "size":
            raise OptionError(
                f"[tune] {flag}: it is set outside [tune] too", "leave out one of the two"
            )


def require_points(recipe: Recipe, space: Space, values: Mapping[str, Sequence[Any]]) -> None:
    """Raise OptionError for a value of ``values`` that no point of a space can have.

    And PackageError where a point takes a package that is not installed: unless the workers of a
    cluster measure the points, which may have what is not here. Each value is held against what a
    run of such a point raises before its first stage.
    """
    runs_here = recipe.tune.scheduler is None
    for knob, recipes in _recipes(recipe, space):
        if knob.name in values:
            _require_possible(knob, recipes, runs_here=runs_here)
        elif runs_here:
            for each in recipes:
                require_packages(each)


def has_training(recipe: Recipe, space: Space) -> bool:
    """Return whether a point of a space trains, for which it takes PyTorch."""
    return any(trains(each) for _, recipes in _recipes(recipe, space) for each in recipes)


def _recipes(recipe: Recipe, space: Space) -> Iterator[tuple[Knob, list[Recipe]]]:
    """Yield the recipes that have a value in which it has an effect, for each of each knob."""
    for knob in space.knobs:
        for value in knob.values:
            choices = space.settings_with(knob, value)
            yield knob, [with_settings(recipe, settings) for settings in choices]


def _require_possible(knob: Knob, recipes: Sequence[Recipe], *, runs_here: bool) -> None:
    """Raise why none of the recipes that have a value of a knob can be run, if that is so."""
    faults: list[RockpressError] = []
    for recipe in recipes:
        try:
            _require_run(knob.name, recipe, runs_here=runs_here)
        except PackageError:
            raise
        except RockpressError as error:
            faults.append(error)
        else:
            return
    for fault in faults:
        flag = knob.name.replace("_", "-")
        raise OptionError(f"[tune] {flag}: {fault.message}", fault.hint) from fault


def _require_run(name: str, recipe: Recipe, *, runs_here: bool) -> None:
    require_possible(recipe, runs_here=runs_here)
    if name in _NAMING_LAYERS or {group for group, _ in homes_of(name)} & {*_OPENED}:
        open_inputs(recipe)


def idle_limits(recipe: Recipe, values: Mapping[str, Sequence[Any]]) -> Iterator[Diagnostic]:
    """Yield warnings where a recipe has what a search does not go by: limits, a part of samples.

    Also where ``values`` to choose from are of a training that no point has.
    """
    names = [
        option(name.replace("_", "-"))
        for name in ("max_latency_ms", "max_size_mb", "max_regression", "baseline")
        if recipe.is_explicit(name)
    ]
    if names:
        yield Diagnostic(
            "option-idle",
            f"{' and '.join(names)} {'have' if len(names) > 1 else 'has'} no effect on a search",
            f"{option('pick', 'latency=5ms')} or size=4MB takes a point by its cost",
        )
    if recipe.is_explicit("eval_part"):
        yield Diagnostic(
            "option-idle",
            f"{option('eval-part')} has no effect on a search",
            "it keeps a third of the labelled samples apart, and measures the front on them",
        )
    fixed = {"train": recipe.quantize.train, "recover": recipe.prune.recover}
    for name, needed in _TRAINED_BY.items():
        if name in values and "distill" not in values.get(needed, (fixed[needed],)):
            yield Diagnostic(
                "option-idle",
                f"[tune] {name.replace('_', '-')} has no effect: no point trains",
                f"list distill under {needed} too, or leave it out",
            )
