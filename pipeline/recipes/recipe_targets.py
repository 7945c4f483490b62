"""The chips that a recipe names."""

from __future__ import annotations

from ...convert.chips.targets import Target, find_target
from ...core.diagnostics import option
from ...core.errors import OptionError
from .recipe import Recipe


def targets_of(recipe: Recipe) -> list[Target]:
    """Return the targets in their order, each once. Raises RockpressError for an unknown one."""
    return list(dict.fromkeys(find_target(name) for name in recipe.run.target))


def only_target(recipe: Recipe, verb: str) -> Target:
    """Return the target of a command that makes one file. Raises OptionError for several."""
    targets = targets_of(recipe)
    if len(targets) > 1:
        raise OptionError(
            f"{verb} makes one model, for one chip; {option('target')} names "
            f"{', '.join(target.name for target in targets)}",
            f"give one {option('target')}, or use rockpress run, which makes a model for each",
        )
    return targets[0]
