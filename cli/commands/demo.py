"""``rockpress demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import parameters as o
from ..model_runs import Display, open_cache, run_one
from ..places import require_reports
from ..verb_options import OptionValues, VerbCommand, takes

_FOLDER = "rockpress-demo"

app = typer.Typer(add_completion=False)


@app.command(cls=VerbCommand)
@takes("demo")
def command(
    options: OptionValues,
    output: Annotated[Path | None, o.output_folder(_FOLDER)] = None,
    report: o.ReportFiles = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Run the whole chain on the bundled model and data."""
    from ...calibration_data.bundled import CALIBRATION, DEMO_PREPROCESS, MODEL, TEST, sample_path
    from ...pipeline.options.option_table import defaults_of
    from ...pipeline.recipes.recipe import make_recipe
    from ...pipeline.recipes.recipe_file import ModelJob

    recipe = make_recipe(
        sample_path(MODEL),
        calib=sample_path(CALIBRATION),
        calib_count=256,
        eval=sample_path(TEST),
        mean=DEMO_PREPROCESS.mean,
        std=DEMO_PREPROCESS.std,
        cache=open_cache(),
        **{**defaults_of("demo"), **options},
    )
    require_reports(report, recipe)
    display = Display("demo", as_json, report or (), quiet, verbose)
    if code := run_one(ModelJob(None, recipe, output or Path(_FOLDER)), display):
        raise typer.Exit(code)
