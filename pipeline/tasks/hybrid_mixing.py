"""Mixed precision that only the toolkit's hybrid way carries, which has one shape of each input."""

from __future__ import annotations

from dataclasses import replace

from ...convert.chips.targets import Target
from ...core.diagnostics import option
from ...core.errors import OptionError
from ...quantize.schemes import find_scheme
from ..recipes.recipe import Recipe
from .mixed_precision import mixed_precision


def without_hybrid_mixing(recipe: Recipe, target: Target) -> Recipe:
    """Return the recipe, without such mixed precision where inputs have several shapes.

    Raises OptionError where it was asked for, or the chip has none.
    """
    mixed, options = mixed_precision(recipe.quantize, target), recipe.quantize
    if mixed is None or not recipe.shape.input_sets:
        return recipe
    if find_scheme(options.scheme).is_qdq and mixed.dtype == target.wide_in_qdq:
        return recipe
    if options.mixed != "auto":
        raise OptionError(
            f"{option('mixed', options.mixed)} is for one shape of the inputs on {target.name}: "
            "the toolkit forgets others there",
            f"leave {option('mixed')} out, or give one shape with {option('input')}",
        )
    return replace(recipe, quantize=replace(options, mixed="off"))
