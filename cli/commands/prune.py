"""``rockpress prune``."""

from __future__ import annotations

from dataclasses import asdict

import typer

from .. import parameters as o
from ..progress_display import watching
from ..pruning_table import show_pruning
from ..show import print_json
from ..verb_options import OptionValues, VerbCommand, takes

app = typer.Typer(add_completion=False)


@app.command(cls=VerbCommand)
@takes("prune")
def command(
    model: o.Model,
    output: o.OutputFile,
    options: OptionValues,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Remove whole channels from an ONNX model, or make its weights sparse."""
    from ...pipeline.prune_file import prune_file
    from ...pipeline.recipes.recipe import make_recipe

    with watching(quiet=quiet) as progress:
        result = prune_file(make_recipe(model, **options), output, progress)
    if as_json:
        print_json({"schema": o.SCHEMA, **asdict(result), "path": str(result.path)})
        return
    show_pruning(result)
