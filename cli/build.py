"""From the options of a command to a recipe: what was not given keeps the recipe's default."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..pipeline.recipe import Recipe
    from .parsers import Input


def build_recipe(
    model: Path,
    *,
    inputs: list[Input] | None = None,
    preprocessing: dict[str, Any] | None = None,
    gates: dict[str, Any] | None = None,
    **options: Any,
) -> Recipe:
    """The recipe of a command; a value of None means that the option was not given."""
    from ..pipeline.recipe import Gates, Preprocessing, Recipe

    return Recipe(
        model=model,
        input_shapes={one.name: one.shape for one in inputs or ()},
        preprocessing=Preprocessing(**_given(preprocessing or {})),
        gates=Gates(**_given(gates or {})),
        **_given(options),
    )


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, (list, tuple)) else value
        for name, value in options.items()
        if value is not None
    }
