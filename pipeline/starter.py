"""What ``rockpress init`` writes: a recipe, a fragment for a Makefile, and a file for CI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.diagnostics import option
from ..core.errors import OutputError, RockpressError
from ..core.files import write_text
from ..core.graphs.model import load_model
from ..core.results.family_figure import FamilyFigure
from .ci_files import CI_FILES, FRAGMENT, MAKEFILE, RECIPE, Ci, ci_text
from .filled_recipe import fill_recipe
from .install_source import install_source
from .recipes.recipe import Recipe, make_recipe
from .recipes.recipe_file import jobs_in
from .recognition.model_view import view_of
from .requirements import require_possible, require_readable
from .sample_search import FoundSamples, find_samples
from .samples.ready_model import ready_model
from .starter_recipe import StartedModel, recipe_text


def started_model(path: Path, options: Mapping[str, Any]) -> StartedModel:
    """Return what a recipe for a model says: what was given, its family, and samples beside it.

    Raises RockpressError for a model or samples that cannot be read.
    """
    recipe = make_recipe(path, **options)
    require_readable(recipe)
    view = view_of(load_model(path), recipe.shape.outputs, path)
    found = FoundSamples()
    if recipe.samples.calib is None and recipe.samples.eval is None:
        with suppress(RockpressError):  # no metric of that name is told when it is run
            found = find_samples(fill_recipe(recipe, "run").recipe, view)
    with_found = recipe.with_options(
        **{name: each for name in ("calib", "eval") if (each := getattr(found, name))}
    )
    return StartedModel(recipe, view, _family_of(with_found), found)


def _family_of(recipe: Recipe) -> FamilyFigure | None:
    """Return what the family sets, without its cut where the recipe ends the model itself."""
    family = fill_recipe(recipe, "run").family
    if family is None:
        return None
    cut = {} if recipe.shape.outputs else family.cut
    return replace(family, cut={k: v for k, v in cut.items() if not recipe.is_explicit(k)})


def write_starter(
    models: Sequence[StartedModel],
    options: Mapping[str, Any],
    folder: Path,
    ci: Ci,
    *,
    force: bool,
) -> tuple[Path, ...]:
    """Write the files and return their paths.

    Raises OutputError when one is there already, OptionError for an option that no run would take.
    """
    files = {RECIPE: recipe_text(models, options, folder), FRAGMENT: MAKEFILE}
    if ci != "none":
        files[CI_FILES[ci]] = ci_text(ci, install_source())
    existing = [name for name in files if (folder / name).exists()]
    if existing and not force:
        raise OutputError(
            f"{folder / existing[0]} is there already", f"{option('force')} replaces it"
        )
    jobs_in(files[RECIPE], folder / RECIPE)
    for name, text in files.items():
        write_text(folder / name, text)
    return tuple(folder / name for name in files)


def open_questions(recipe: Recipe) -> list[RockpressError]:
    """Return what keeps a recipe from being run: what it lacks, its shapes, then its samples."""
    faults: list[RockpressError] = []
    filled = recipe
    try:
        filled = fill_recipe(recipe, "run").recipe
        require_possible(filled)
    except RockpressError as error:
        faults.append(error)
    try:
        ready = ready_model(filled.model, filled.shape)
        paths = (filled.samples.calib, filled.samples.eval)
        for path in [path for path in paths if path is not None]:
            ready.samples(path, filled.preprocessing, 1)
    except RockpressError as error:
        faults.append(error)
    return faults
