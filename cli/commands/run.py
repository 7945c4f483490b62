"""``rockpress run``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import parameters as o
from ..verb_options import OptionValues, VerbCommand, takes

Force = Annotated[
    bool, typer.Option("--force", help="Do it again: run stages whose result is in the cache.")
]

app = typer.Typer(add_completion=False)


@app.command(cls=VerbCommand)
@takes("run")
def command(
    model: o.ModelOrRecipe,
    options: OptionValues,
    output: Annotated[Path | None, o.output_folder("build")] = None,
    depfile: o.Depfile = None,
    dry_run: o.DryRun = False,
    force: Force = False,
    report: o.ReportFiles = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Prune, quantize, convert and check a model: one command, one report."""
    from ..model_runs import (
        Display,
        open_cache,
        read_jobs,
        run_one,
        run_several,
        show_plans,
        write_depfile,
    )
    from ..phrases import speaking_of
    from ..places import require_places

    cache = open_cache(fresh=force)
    jobs = [job.with_options(**options, cache=cache) for job in read_jobs(model, output)]
    require_places(jobs, model, report or (), depfile)
    if dry_run:
        with speaking_of(model):
            show_plans(jobs, as_json=as_json)
        return
    display = Display("run", as_json, report or (), quiet, verbose)
    with speaking_of(model):
        code = run_one(jobs[0], display) if jobs[0].name is None else run_several(jobs, display)
    if depfile is not None:
        write_depfile(depfile, jobs, model)
    if code:
        raise typer.Exit(code)
