"""``rockpress.toml``: the options of ``rockpress run`` in a file, for one model or several.

A key is the long name of an option and means what the option does; paths start at the file's
folder. A table ``[models.NAME]`` is one of several models: its keys go before those above it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ...accuracy.metrics.metric_table import find_metric, with_paths_from
from ...convert.chips.targets import find_target
from ...core.diagnostics import speaking
from ...core.errors import ModelError, OptionError
from ...core.measured_kinds import MeasuredTimes
from ...core.option_kinds import File, Kind
from ...core.options import Option
from ...core.text_files import BrokenText, UnreadableFile, parse_toml, read_text
from ...prune.results.budget import parse_budget
from ..options.option_table import meant_flag, old_names, options_of, renamed, verbs_with
from .recipe import VERB, Recipe, recipe_phrase

_PAGE = "docs/recipe.md lists the keys and what they take"
_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# keys that are no options: what is read, and where results go
_OF_THE_FILE = ("model", "output", "models", "tune")


@dataclass(frozen=True)
class ModelJob:
    """A recipe, the folder it writes to, and the name it has where the file holds several.

    ``space`` are the values that ``rockpress tune`` chooses from, by the option's name.
    """

    name: str | None
    recipe: Recipe
    output: Path
    space: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def with_options(self, **options: Any) -> ModelJob:
        """Return the job with some options changed, which all models of a file share."""
        recipe = self.recipe.with_options(**options)
        if self.name is not None:
            recipe = replace(recipe, shared=recipe.shared | options.keys())
        return replace(self, recipe=recipe)


@dataclass(frozen=True)
class _Table:
    """The keys of one table of the file; ``prefix`` is where in the file it is."""

    file: Path
    keys: Mapping[str, Any]
    prefix: str = ""

    def error(self, key: str, text: str, hint: str = _PAGE) -> OptionError:
        return OptionError(f"{self.file}: {self.prefix}{key}: {text}", hint)

    def text(self, key: str) -> str | None:
        """Return the value of a key that holds a path, None without it. Raises OptionError."""
        value = self.keys.get(key)
        if value is not None and not (isinstance(value, str) and value and "\0" not in value):
            raise self.error(key, f"{value!r} is not a path")
        return value

    def options(self) -> dict[str, Any]:
        """Return the values of the keys that are options, checked. Raises OptionError."""
        values = {}
        for key, value in self.keys.items():
            if key not in _OF_THE_FILE[: 4 if not self.prefix else 1]:
                name, current = renamed(VERB, key.replace("-", "_"), value)
                self._require(key, name, current)
                if name in values:
                    raise self.error(
                        key, f"{name} has that meaning too", "leave one of the two out"
                    )
                values[name] = current
        return values

    def _require(self, key: str, name: str, value: Any) -> None:
        described = _options().get(name)
        if described is None or "_" in key:
            raise self._unknown(key)
        try:
            described.load(value)
        except OptionError as error:
            text = f"{value!r} is not {described.kind.plain_wants}"
            with speaking(recipe_phrase):
                meant = error.hint
            raise self.error(key, text, _as_a_line(described, value) or meant or _PAGE) from None

    def _unknown(self, key: str) -> OptionError:
        flags = [described.flag for described in options_of(VERB)]
        known = [*_OF_THE_FILE, *flags, *old_names(VERB)]
        meant = meant_flag(key.replace("_", "-"), known)
        hint = f"did you mean {meant}?" if meant else _PAGE
        if (verbs := verbs_with(key)) and VERB not in verbs:
            hint = f"{key} is an option of {', '.join(verbs)}"
        return OptionError(f"{self.file}: unknown key {f'{self.prefix}{key}'!r}", hint)


def read_jobs(path: Path) -> tuple[ModelJob, ...]:
    """Return the recipes of a file, in its order.

    Raises ModelError when it cannot be read, OptionError for a key or a value that is not known.
    """
    try:
        text = read_text(path)
    except BrokenText as error:
        raise _no_toml(path, error) from error
    except UnreadableFile as error:
        hint = "rockpress init writes a recipe"
        raise ModelError(f"cannot read {path}: {error}", hint) from error
    return jobs_in(text, path)


def jobs_in(text: str, path: Path) -> tuple[ModelJob, ...]:
    """Return the recipes of a text that is, or is going to be, that file. Raises OptionError."""
    try:
        top = _Table(path, parse_toml(text))
    except BrokenText as error:
        raise _no_toml(path, error) from error
    shared, model = top.options(), top.text("model")
    output = path.parent / (top.text("output") or "build")
    models, space = _tables(top), _space(top)
    if models is None:
        recipe = _recipe(top, shared, model, 'add model = "model.onnx"')
        return (ModelJob(None, recipe, output, space),)
    jobs = []
    for name, table in models.items():
        own, hint = table.options(), f"add model = ... under [models.{name}]"
        recipe = _recipe(table, {**shared, **own}, table.text("model") or model, hint)
        recipe = replace(recipe, shared=frozenset(shared.keys() - own.keys()))
        jobs.append(ModelJob(name, recipe, output / name, space))
    return tuple(jobs)


def _no_toml(path: Path, error: BrokenText) -> OptionError:
    return OptionError(
        f"{path} is no TOML: {error}", "mend that, or see what rockpress init writes"
    )


def _tables(top: _Table) -> dict[str, _Table] | None:
    """Return the models of the file by name; None when it is about one."""
    models = top.keys.get("models")
    if models is None:
        return None
    if not isinstance(models, dict) or not models:
        raise top.error("models", f"{models!r} is not a table of models")
    for name, keys in models.items():
        if not _MODEL_NAME.fullmatch(name):
            text = "the name of a model should be letters, digits, dots, dashes and underscores"
            raise top.error(f"models.{name}", f"{text}, not {name!r}")
        if not isinstance(keys, dict):
            raise top.error(f"models.{name}", f"{keys!r} is not a table of keys")
    return {name: _Table(top.file, keys, f"models.{name}.") for name, keys in models.items()}


def _space(top: _Table) -> dict[str, tuple[Any, ...]]:
    """Return the section [tune]: the values that each option may have. Raises OptionError."""
    section = top.keys.get("tune", {})
    if not isinstance(section, dict):
        raise top.error("tune", f"{section!r} is not a table of options with lists of values")
    space: dict[str, tuple[Any, ...]] = {}
    for key, values in section.items():
        described = _options().get(key.replace("-", "_"))
        if described is None or "_" in key:
            meant = meant_flag(key.replace("_", "-"), [each.flag for each in options_of(VERB)])
            hint = f"did you mean {meant}?" if meant else _PAGE
            raise top.error(f"tune.{key}", "is no option of a run", hint)
        if not isinstance(values, list):
            is_plain = isinstance(values, (str, int, float))
            hint = f"write {recipe_phrase(key, [values])}" if is_plain else _PAGE
            raise top.error(f"tune.{key}", f"{values!r} is not a list of values", hint)
        if not values:
            raise top.error(f"tune.{key}", "the list of values is empty")
        for value in values:
            _Table(top.file, {}, "tune.")._require(key, described.name, value)
        space[described.name] = tuple(values)
    return space


def _options() -> dict[str, Option]:
    return {described.name: described for described in options_of(VERB)}


def _as_a_line(described: Option, value: Any) -> str:
    """Return what to write for a value in the form of the command line, "" for another one."""
    if isinstance(value, str):
        with suppress(ValueError, OptionError):
            plain = described.kind.read(value)
            described.load(plain)
            return f"write {recipe_phrase(described.flag, plain)}"
    return ""


def _recipe(table: _Table, options: Mapping[str, Any], model: str | None, hint: str) -> Recipe:
    """Return the recipe, its paths from the file's folder. Raises OptionError for unknown names."""
    if model is None:
        where = table.prefix.removesuffix(".") or "model"
        raise OptionError(f"{table.file}: {where}: no model is named", hint)
    folder = table.file.parent
    recipe = Recipe(folder / model).with_options(**options)
    _require_known(table.file, recipe, options)
    paths: dict[str, Any] = {
        name: _from(folder, described.kind, options[name])
        for name, described in _options().items()
        if isinstance(described.kind, (File, MeasuredTimes)) and name in options
    }
    if recipe.metric.metric_option:
        named = with_paths_from(folder, recipe.metric.metric, recipe.metric.metric_option)
        paths["metric_option"] = named
    return recipe.with_options(**paths)


def _from(folder: Path, kind: Kind, path: Any) -> Any:
    """Return a path of the file as it is from here; the bare name of a program stays for PATH."""
    if isinstance(kind, MeasuredTimes):  # whose words begin with a path
        return [str(folder / word) for word in kind.load(path)]
    if isinstance(kind, File) and kind.program:
        return folder.absolute() / path if "/" in path else Path(path)
    return folder / path


def _require_known(path: Path, recipe: Recipe, options: Mapping[str, Any]) -> None:
    """Raise OptionError for a target, budget or metric that there is not."""
    if "target" in options:
        for name in recipe.run.target:
            _require(path, "target", partial(find_target, name))
    if budget := recipe.prune.prune:
        _require(path, "prune", partial(parse_budget, budget))
    if "metric" in options:
        _require(path, "metric", partial(find_metric, recipe.metric.metric))


def _require(path: Path, key: str, look_up: Callable[[], object]) -> None:
    try:
        look_up()
    except OptionError as error:
        with speaking(recipe_phrase):
            raise OptionError(f"{path}: {key}: {error.message}", error.hint) from error
