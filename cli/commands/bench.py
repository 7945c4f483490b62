"""``rockpress bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import parameters as o
from ..completion import RKNN, file_completer
from ..verb_options import OptionValues, VerbCommand, takes

_TOP = 20  # layers in the table, the dearest first

app = typer.Typer(add_completion=False)


@app.command(cls=VerbCommand)
@takes("bench")
def command(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.rknn",
            help="What convert or run has written.",
            autocompletion=file_completer(RKNN),
        ),
    ],
    options: OptionValues,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Append what was measured to this record, which --measured takes.",
            rich_help_panel=o.RESULT,
        ),
    ] = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Measure a .rknn on a board: times, layers, memory, energy."""
    from ...core.files import require_file
    from ...pipeline.bench import bench_file
    from ...pipeline.recipes.recipe import make_recipe
    from ...report.documents.bench_document import bench_document
    from ...report.text.bench_text import LAYER_HEADINGS, bench_lines, layer_cells
    from ..progress_display import watching
    from ..show import print_json, print_lines, print_table

    recipe = make_recipe(model, **options)
    if record is not None:
        require_file(record)
    with watching(quiet=quiet) as progress:
        bench = bench_file(recipe, record=record, progress=progress)
    if as_json:
        print_json(bench_document(bench))
        return
    print_lines(bench_lines(bench))
    if bench.layers:
        dearest = sorted(bench.layers, key=lambda layer: -layer.us)[: None if verbose else _TOP]
        title = f"{len(dearest)} of {len(bench.layers)} layers, the dearest first"
        print_table(title, LAYER_HEADINGS, [layer_cells(layer) for layer in dearest])
