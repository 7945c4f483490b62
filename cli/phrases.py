"""How the command line says options: as it takes them, or as the keys of the recipe that is run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.diagnostics import Phrase, mentions, speaking
from ..core.errors import RockpressError

# those with a letter, which is what is typed
_SHORT = {"output": "-o"}
_WITH_CROSS = ("size", "input")
_AS_JSON = ("toolkit-config",)  # in which lists and tables differ
# of which each value is given by itself
_REPEATED = ("target", "keep", "only", "allow")


def command_phrase(name: str, value: Any) -> str:
    """Say an option as it is typed.

    >>> command_phrase("calib", None), command_phrase("min-retention", 0.98)
    ('--calib', '--min-retention 0.98')
    >>> command_phrase("input", {"x": [1, 3, 48, 192]}), command_phrase("mean", [127.5])
    ('--input x=1x3x48x192', '--mean 127.5')
    """
    flag = _SHORT.get(name, f"--{name}")
    if name in _REPEATED and isinstance(value, list):
        return " ".join(f"{flag} {part}" for part in value)
    return flag if value is None or value is True else f"{flag} {_typed(name, value)}"


def _typed(name: str, value: Any) -> str:
    if isinstance(value, dict):
        ((key, inner),) = value.items()
        if name in _AS_JSON and not isinstance(inner, str | None):
            return f"{key}={json.dumps(inner)}"
        return key if inner is None else f"{key}={_typed(name, inner)}"
    if isinstance(value, list):
        if value and isinstance(value[0], list):
            return ",".join(_typed(name, part) for part in value)
        return ("x" if name in _WITH_CROSS else ",").join(_typed(name, part) for part in value)
    if name == "max-regression" and not isinstance(value, str):
        return f"{100 * value:.6g}%"
    return f"{value:g}" if isinstance(value, float) else str(value)


@contextmanager
def speaking_of(model: Path) -> Iterator[None]:
    """Speak of options as keys where a recipe is run, but for those that were typed beside it.

    An error that speaks of a key says in which file that is.
    """
    if model.suffix.lower() != ".toml":
        yield
        return
    from ..pipeline.options.option_table import old_names

    typed = {word[2:].partition("=")[0] for word in sys.argv[1:] if word.startswith("--")}
    typed |= {name for old, name in old_names("run").items() if old in typed}
    try:
        with speaking(_recipe_phrase_but_for(typed)):
            yield
    except RockpressError as error:
        raise _rendered(error, model, typed) from error.__cause__


def _recipe_phrase_but_for(typed: set[str]) -> Phrase:
    from ..pipeline.recipes.recipe import recipe_phrase

    return lambda name, value: (command_phrase if name in typed else recipe_phrase)(name, value)


def _rendered(error: RockpressError, model: Path, typed: set[str]) -> RockpressError:
    """Return the error with its texts in the words of this recipe."""
    with speaking(_recipe_phrase_but_for(typed)):
        diagnostic = replace(error.diagnostic, text=error.message, hint=error.hint)
    if set(mentions(error.diagnostic.text)) - typed:
        diagnostic = replace(diagnostic, text=f"{model}: {diagnostic.text}")
    if set(mentions(error.diagnostic.hint)) - typed:
        diagnostic = replace(diagnostic, hint=f"{model}: {diagnostic.hint}")
    error.diagnostic = diagnostic
    return error
