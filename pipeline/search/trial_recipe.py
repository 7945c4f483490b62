"""A point as a recipe of its own: what a worker runs, and what the user keeps of the chosen one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from ...core.options import OFF, Option
from ...core.results.tune_report import Setting
from ..options.option_table import homes_of, options_of
from ..recipes.recipe import VERB, Recipe, plain
from ..recipes.toml_text import toml_text
from ..tasks.idle_options import idle_names
from .list_settings import value_of
from .points import Point

# what a trial is judged by is the search's to say, and it is one job of several
_NOT_OF_A_TRIAL = (
    *("min_retention", "max_latency_ms", "max_size_mb", "baseline", "max_regression"),
    *("eval_part", "jobs"),
)
# so that what is for gates alone is idle too
_NO_GATES = {"min_retention": None, "max_latency_ms": None}
# What ends a search or a training inside a trial: counts, so that the machine has no say in it.
# About what the clock gives by default where a build takes 20 s and a mini-batch a second.
_COUNTED: Mapping[str, Setting] = {"search_time": None, "search_choices": 16}
_COUNTED_STEPS: Mapping[str, Setting] = {"recover_time": None, "recover_steps": 500}
_COUNTED_TRAINING: Mapping[str, Setting] = {"train_time": None, "train_steps": 500}


def trial_recipe(recipe: Recipe, point: Point, samples: Mapping[str, Any]) -> str:
    """Return the recipe of a point in TOML, paths absolute.

    It has limits by counts where ``recipe`` gives none, what ``recipe`` gives explicitly, what the
    point sets, and ``samples``, options of the samples and of the machine, in this order of growing
    weight; no gates, and nothing of the first two that has no effect beside the third.
    """
    values = _values(dict(point.settings))
    recipe = _with_values(recipe, values)
    idle = idle_names(recipe)
    options = _counted(recipe, idle) | {
        described.name: plain(
            _absolute(described.name, getattr(getattr(recipe, group), described.name))
        )
        for described in options_of(VERB)
        if described.name not in {*_NOT_OF_A_TRIAL, *idle} and recipe.is_explicit(described.name)
        for group, _ in homes_of(described.name)[:1]
    }
    options |= values | dict(samples)
    described = {each.name: each for each in options_of(VERB)}
    lines = [f"model = {toml_text(str(recipe.model.absolute()))}"]
    tables: list[str] = []
    for name, value in options.items():
        if isinstance(value, Mapping):
            tables += _table(described[name].flag, value)
        else:
            lines += _line(described[name], value)
    return "\n".join([*lines, *tables, ""])


def with_settings(recipe: Recipe, settings: Mapping[str, Setting]) -> Recipe:
    """Return a recipe with values of a point, and without gates. Raises OptionError."""
    return _with_values(recipe, _values(settings))


def _values(settings: Mapping[str, Setting]) -> dict[str, Any]:
    return {name: value_of(setting) for name, setting in settings.items()}


def _with_values(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    return recipe.with_options(**values, **_NO_GATES)


def _counted(recipe: Recipe, idle: Set[str]) -> dict[str, Any]:
    """Return what limits the searches and the training of a point by counts.

    Where the user has given a limit, that is it.
    """
    return {
        name: value
        for limit in (_COUNTED, _COUNTED_STEPS, _COUNTED_TRAINING)
        if not any(recipe.is_explicit(each) or each in idle for each in limit)
        for name, value in limit.items()
    }


def _absolute(name: str, value: Any) -> Any:
    """Return a value with the paths in it absolute: a trial runs in a folder of its own."""
    if isinstance(value, Path):
        return value.absolute()
    if isinstance(value, Mapping):
        return {key: _absolute_word(setting) for key, setting in value.items()}
    return tuple(map(_absolute_word, value)) if name == "measured" else value


def _absolute_word(word: Any) -> Any:
    """Return a file's name, or one with its time after an equals sign, with its whole path."""
    if not isinstance(word, str):
        return word
    path = word.rpartition("=")[0]
    is_file = os.path.isfile(word) or os.path.isfile(path)  # False too for what no file can be
    return str(Path(word).absolute()) if is_file else word


def _line(described: Option, value: Any) -> Iterator[str]:
    if value is None and not described.off:
        return  # its default, for which a recipe has no word
    yield f"{described.flag} = {toml_text(OFF if value is None else value)}"


def _table(flag: str, values: Mapping[str, Any]) -> list[str]:
    if not values:
        return []
    pairs = (f"{toml_text(name)} = {toml_text(value)}" for name, value in values.items())
    return ["", f"[{flag}]", *pairs]
