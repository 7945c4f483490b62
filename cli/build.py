"""From the options of a command to a recipe: what was not given keeps the recipe's default."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..pipeline.recipes.recipe import Recipe
    from .parsers import Input


def build_recipe(
    model: Path | Recipe,
    *,
    inputs: list[Input] | None = None,
    preprocessing: dict[str, Any] | None = None,
    gates: dict[str, Any] | None = None,
    **options: Any,
) -> Recipe:
    """The recipe of a command: that of a file, or the defaults, with what the options say.

    A value of None means that the option was not given.
    """
    from ..pipeline.recipes.recipe import Recipe

    given = _given(options)
    for name in ("prune", "sparsity"):
        if given.get(name) == "off":
            given[name] = None
    base = Recipe(model) if isinstance(model, Path) else model
    shapes = {one.name: one.shape for one in inputs or ()}
    return replace(
        base,
        input_shapes={**base.input_shapes, **shapes},
        preprocessing=replace(base.preprocessing, **_given(preprocessing or {})),
        gates=replace(base.gates, **_given(gates or {})),
        **given,
    )


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, (list, tuple)) else value
        for name, value in options.items()
        if value is not None
    }
