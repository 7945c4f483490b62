"""``rockpress demo``."""

from __future__ import annotations

from pathlib import Path

import typer

from .. import options as o
from .. import release_options as r
from ..build import build_recipe
from ..model_runs import Shown, opened_cache, run_one
from ..places import require_reports

_BUDGET = "cycles=-40%"
_RETENTION = 0.98

app = typer.Typer(add_completion=False)


@app.command()
def command(
    output: o.OutputFolder = None,
    target: o.Targets = None,
    prune: o.Prune = None,
    min_retention: o.MinRetention = None,
    last_report: r.LastReport = None,
    max_regression: r.MaxRegression = None,
    report: o.ReportFiles = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Run the whole chain on the bundled model and data."""
    from ...calibration_data.bundled import CALIBRATION, DEMO_PREPROCESS, MODEL, TEST, sample_path
    from ...pipeline.recipes.recipe_file import Job

    budget = _BUDGET if prune is None else prune
    recipe = build_recipe(
        sample_path(MODEL),
        calib=sample_path(CALIBRATION),
        calib_count=256,
        eval=sample_path(TEST),
        targets=target,
        prune=None if budget == "off" else budget,
        preprocessing={"mean": DEMO_PREPROCESS.mean, "std": DEMO_PREPROCESS.std},
        gates={
            "min_retention": _RETENTION if min_retention is None else min_retention,
            "max_regression": r.limits_of(max_regression),
        },
        last_report=last_report,
        cache=opened_cache(),
    )
    require_reports(report, recipe)
    shown = Shown(as_json=as_json, reports=report or (), quiet=quiet, verbose=verbose)
    if code := run_one(Job(None, recipe, output or Path("rockpress-demo")), shown):
        raise typer.Exit(code)
