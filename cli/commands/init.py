"""``rockpress init``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from .. import parameters as o
from ..verb_options import OptionValues, VerbCommand, takes

Force = Annotated[bool, typer.Option("--force", help="Replace files that are there already.")]

app = typer.Typer(add_completion=False)


@app.command(cls=VerbCommand)
@takes("init")
def command(
    model: o.Model,
    options: OptionValues,
    output: Annotated[Path, o.output_folder(".")] = Path(),
    force: Force = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Write a recipe for a model, a Makefile fragment and a CI workflow."""
    from ...convert.chips.targets import find_target
    from ...core.graphs.model import require_model_file
    from ...pipeline.filled_recipe import fill_recipe
    from ...pipeline.recipes.recipe import make_recipe
    from ...pipeline.starter import Answers, write_starter

    require_model_file(model)
    filled = fill_recipe(make_recipe(model, **options), "run")
    recipe = filled.recipe
    answers = Answers(
        _from(output, model),
        _from(output, recipe.samples.calib) if recipe.samples.calib else None,
        _from(output, recipe.samples.eval) if recipe.samples.eval else None,
        tuple(find_target(name).name for name in recipe.run.target),
        filled.family,
    )
    written = write_starter(model, output, answers, force=force)
    if not quiet:
        for path in written:
            print(f"rockpress: written {path}", file=sys.stderr)
        for line in _below_a_top(output):
            print(f"hint: {line}", file=sys.stderr)
        print(f"rockpress: next: rockpress run {written[0]}", file=sys.stderr)


def _below_a_top(folder: Path) -> list[str]:
    """Return what to do with the files where the folder is not the top of its repository."""
    from ...pipeline.starter import FRAGMENT, WORKFLOW

    here = folder.resolve()
    top = next((parent for parent in (here, *here.parents) if (parent / ".git").exists()), here)
    if top == here:
        return []
    subfolder = here.relative_to(top).as_posix()
    return [
        f"GitHub reads workflows at the top of a repository alone: move {WORKFLOW} to {top}, and "
        f"put {subfolder}/ before the paths in it",
        f"{FRAGMENT} is for make in that folder: make -C {subfolder} -f {FRAGMENT}",
    ]


def _from(folder: Path, path: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()
