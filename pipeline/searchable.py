"""Which options a search may choose from, and what of a recipe has no say in one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..core.diagnostics import Diagnostic, option
from ..core.errors import OptionError, RockpressError
from ..quantize.mixing.mixed_budget import parse_mixed
from .options.option_table import homes_of
from .recipes.recipe import Recipe
from .requirements import require_possible

# they say on what chip, of which samples and by what limits the points are judged
_SAME_FOR_ALL = ("run", "gates", "latency", "check", "predict", "board", "bench", "tune", "explain")
_JUDGING = ("eval", "eval_count", "eval_part", "metric", "metric_option", "toolkit_python")
_TRAINED_BY = {
    **{"train_steps": "train", "train_time": "train"},
    **{"recover_steps": "recover", "recover_time": "recover"},
}
_MIXES_BY_ITSELF = ("auto", "off", None)


def require_searchable(recipe: Recipe, values: Mapping[str, Sequence[Any]]) -> None:
    """Raise OptionError for an option that cannot be searched, or a value that no point can have.

    ``values`` are those to choose from, by the names of the options.
    """
    for name, listed in values.items():
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
        for value in listed:
            _require_possible(recipe, name, value)


def _require_possible(recipe: Recipe, name: str, value: Any) -> None:
    try:
        if name == "mixed" and value not in _MIXES_BY_ITSELF:
            parse_mixed(value)
        if name == "scheme" or (name == "prune" and value != "off"):
            require_possible(recipe.with_options(**{name: value}))
    except RockpressError as error:
        raise OptionError(
            f"[tune] {name.replace('_', '-')}: {error.message}", error.hint
        ) from error


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
