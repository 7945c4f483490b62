"""One model converted for several targets, each into a folder of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..convert.chips.targets import Target
from ..convert.convert import Conversion
from ..core.errors import RockpressError
from ..core.files import require_writable, staging
from ..core.progress import SILENT, Progress
from .parallel import each_target
from .recipes.recipe import Recipe
from .requirements import require_output, targets_of
from .single import convert_file
from .stale_outputs import set_aside


def convert_files(
    recipe: Recipe, folder: Path, progress: Progress = SILENT, *, pixels: bool = False
) -> dict[str, Conversion | RockpressError]:
    """Convert ``recipe.model`` for every target of the recipe, ``recipe.toolkit.jobs`` at once.

    Writes ``folder/<target>/<stem>.rknn`` and its manifest; see ``convert_file`` for the rest.
    Returns target -> conversion, or the error of a target that failed: files of an earlier run are
    set aside then. Raises RockpressError when all failed, and nothing is written.
    """
    targets = targets_of(recipe)
    name = f"{recipe.model.stem}.rknn"
    for target in targets:
        require_output(folder / target.name / name, ".rknn", [recipe.model])
        require_writable(folder / target.name)
    with staging(folder) as work:

        def convert_one(target: Target, share: Recipe, watched: Progress) -> Conversion:
            one = share.with_options(target=target.name)
            place = work / target.name / name
            return convert_file(one, place, watched, pixels=pixels)

        outcomes = each_target(targets, recipe, convert_one, progress)
    results: dict[str, Conversion | RockpressError] = {}
    for target, outcome in zip(targets, outcomes, strict=True):
        if isinstance(outcome, RockpressError):
            set_aside(folder / target.name, recipe.model.stem)
            results[target.name] = outcome
        else:
            results[target.name] = replace(outcome, path=folder / target.name / name)
    return results
