"""What is said of an option of the command line, said of the key of a recipe."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from .recipe_file import RecipeFile

# an option, and what may be its value: the next word, without the punctuation of the sentence
_OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)(?: ((?![\"'])[^\s]+(?<![.,;:)])))?")
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
# what makes a word a value where any text might be one
_NO_PROSE = re.compile(r"off|.*[0-9=/%].*")
_TABLES: Mapping[str, Callable[[str], Any]] = {
    "input": lambda text: [int(one) for one in text.split("x")],
    "max-regression": lambda text: float(text.removesuffix("%")) / 100,
    "metric-option": str,
}
_READERS: tuple[Callable[[str], Any], ...] = (
    int,
    float,
    lambda text: [int(one) for one in text.split("x")],
    lambda text: [float(one) for one in text.split(",")],
    str,
    lambda text: text.split(","),
)
_KEYS = {field.alias or name for name, field in RecipeFile.model_fields.items()}


def in_recipe_words(text: str, typed: Collection[str] = ()) -> str:
    """The text with keys of a recipe instead of options, but for those that were ``typed``.

    >>> in_recipe_words("give one, for example --size 48x192 or --input x=1x3x48x192")
    'give one, for example size = [48, 192] or input.x = [1, 3, 48, 192]'
    >>> in_recipe_words("give labelled samples with --eval, or leave --mean 73 out", ["--mean"])
    'give labelled samples with eval, or leave --mean 73 out'
    """

    def reworded(found: re.Match[str]) -> str:
        key, value = found[1], found[2]
        if key not in _KEYS or f"--{key}" in typed:
            return found[0]
        said = _assignment(key, value) if value else None
        return said or found[0].removeprefix("--")

    return _OPTION.sub(reworded, text)


def _assignment(key: str, text: str) -> str | None:
    """The line of a recipe; None when the text is no value for the key."""
    if key in _TABLES:
        name, equals, rest = text.rpartition("=")
        with suppress(ValueError):
            value = _TABLES[key](rest)
            if equals and _fits(key, {name: value}):
                known = name if _PLAIN.fullmatch(name) else json.dumps(name)
                return f"{key}.{known} = {json.dumps(value)}"
        return None
    for read in _READERS:
        with suppress(ValueError):
            value = read(text)
            if _fits(key, value) and (_is_chosen(key) or _NO_PROSE.fullmatch(text)):
                return f"{key} = {json.dumps(value)}"
    return None


def _fits(key: str, value: Any) -> bool:
    try:
        RecipeFile.model_validate({key: value})
    except ValidationError:
        return False
    return True


def _is_chosen(key: str) -> bool:
    """Whether the key takes one of a few words, so that none can be mistaken for it."""
    return not _fits(key, "of")
