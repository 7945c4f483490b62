"""``rockpress check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import parameters as o
from ..completion import ONNX, RKNN, file_completer
from ..places import require_reports
from ..progress_display import watching
from ..result_screen import ResultScreen, show_report
from ..target_results import GATE_FAILED
from ..verb_options import OptionValues, VerbCommand, takes

app = typer.Typer(add_completion=False)


@app.command(cls=VerbCommand)
@takes("check")
def command(
    original: Annotated[
        Path,
        typer.Argument(
            metavar="BASELINE", help="The original ONNX model.", autocompletion=file_completer(ONNX)
        ),
    ],
    candidate: Annotated[
        Path,
        typer.Argument(
            metavar="CANDIDATE",
            help="ONNX, quantized ONNX, or .rknn.",
            autocompletion=file_completer(ONNX, RKNN),
        ),
    ],
    options: OptionValues,
    report: o.ReportFiles = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Compare a compressed model with its baseline."""
    from ...pipeline.check import check
    from ...pipeline.recipes.recipe import make_recipe

    recipe = make_recipe(original, **options)
    require_reports(report, recipe, [candidate])
    with watching(quiet=quiet) as progress:
        result = check(recipe, candidate, progress)
    screen = ResultScreen(as_json, verbose, report or (), shown=progress.shown)
    show_report(result, screen)
    if not result.passed:
        raise typer.Exit(GATE_FAILED)
