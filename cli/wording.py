"""How a run speaks of its options: as options, or as the keys of the recipe that they are in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core.errors import RockpressError

Words = Callable[[str], str]


def as_it_is(text: str) -> str:
    """For a command without a recipe."""
    return text


def words_for(model: Path) -> Words:
    """What to make of a text about the run of a model or a recipe."""
    if model.suffix.lower() != ".toml":
        return as_it_is
    typed = {word.partition("=")[0] for word in sys.argv[1:] if word.startswith("--")}

    def in_recipe(text: str) -> str:
        from ..pipeline.recipes.recipe_words import in_recipe_words

        return in_recipe_words(text, typed)

    return in_recipe


@contextmanager
def speaking(words: Words, model: Path) -> Iterator[None]:
    """Tell what is raised in these words, and where they are to be found."""

    def found_in(text: str) -> str:
        said = words(text)
        return text if said == text else f"{model}: {said}"

    try:
        yield
    except RockpressError as error:
        error.reword(found_in)
        raise
