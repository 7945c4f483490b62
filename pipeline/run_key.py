"""The key of a whole run in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..core.files import sha256_of
from ..core.training.pytorch import has_torch
from .caching.content_keys import content_of, samples_digest
from .measured_files import measured_files
from .options.option_table import GROUPS
from .recipes.recipe import Recipe

# groups of options that no result of a run depends on, or not as they are written
_APART = ("toolkit", "tune")


@dataclass(frozen=True)
class RunKey:
    """What decides a whole run: not what only decides how long it takes, or whether it ends.

    Samples are read for its key only where there is a cache. Their names and the model's, which its
    report and files tell, are part of it unless ``with_names`` is False.
    """

    recipe: Recipe
    version: str
    with_names: bool = True

    def key(self) -> dict[str, Any]:
        """Return it. Raises RockpressError when something cannot be read."""
        recipe, baseline = self.recipe, self.recipe.gates.baseline
        samples = (recipe.samples.calib, recipe.samples.eval)
        return {
            **{name: content_of(getattr(recipe, name)) for name in GROUPS if name not in _APART},
            "model": (content_of(recipe.model), str(recipe.model) if self.with_names else ""),
            "toolkit": (self.version, str(recipe.toolkit.toolkit_python)),
            "toolkit-config": recipe.toolkit.toolkit_config,
            "toolkit-level": recipe.toolkit.toolkit_level,
            "digests": [path and samples_digest(path, self.with_names) for path in samples],
            "baseline": sha256_of(baseline) if baseline else None,
            "measured": [sha256_of(file) for file in measured_files(recipe)],
            # an attack by gradients is made where PyTorch is there
            "torch": recipe.check.robustness and has_torch(),
        }
