"""``rockpress tune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import parameters as o
from ..verb_options import OptionValues, VerbCommand, takes

_GOALS = ("latency", "size")

app = typer.Typer(add_completion=False)


@app.command(cls=VerbCommand)
@takes("tune")
def command(
    model: o.ModelOrRecipe,
    options: OptionValues,
    output: Annotated[Path | None, o.output_folder("build/tune")] = None,
    goal: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="|".join(_GOALS),
            help="What the points cost: milliseconds on the chip, or bytes.",
            autocompletion=lambda: list(_GOALS),
            rich_help_panel="Search",
        ),
    ] = "latency",
    report: o.ReportFiles = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Search for the trade-offs of a model: what is fastest for what it retains."""
    from ...core.diagnostics import option
    from ...core.errors import OptionError
    from ...pipeline.tune import REPORT_FILE, Goal, tune
    from ..handler import resumable
    from ..model_runs import open_cache, read_jobs
    from ..phrases import speaking_of
    from ..places import require_reports
    from ..progress_display import watching
    from ..tune_display import show_tune

    if goal not in _GOALS:
        raise OptionError(
            f"{option('for', goal)} is none of {', '.join(_GOALS)}", "give one of them"
        )
    job, *others = read_jobs(model, output)
    if others:
        raise OptionError(
            f"{model} holds {1 + len(others)} models, and tune searches for one",
            "give a recipe of one model",
        )
    recipe = job.recipe.with_options(**options, cache=open_cache())
    require_reports(report, recipe, [model])
    folder = output or job.output / "tune"
    with speaking_of(model):
        hint = f"the same command goes on after it; {folder / REPORT_FILE} has the front so far"
        with resumable(hint), watching(quiet=quiet) as progress:
            cost: Goal = "size" if goal == "size" else "latency"
            result = tune(recipe, folder, goal=cost, values=job.space, progress=progress)
        show_tune(result, folder=folder, files=report or (), as_json=as_json, verbose=verbose)
    if result.chosen is None:
        raise typer.Exit(4)
