"""``rockpress predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import parameters as o
from ..completion import ONNX, RKNN, SAMPLES, file_completer
from ..verb_options import OptionValues, VerbCommand, takes

_ALL_OF = 20  # samples; of more only those are listed in which two models differ

app = typer.Typer(add_completion=False)


@app.command(cls=VerbCommand)
@takes("predict")
def command(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="ONNX, quantized ONNX, or .rknn.",
            autocompletion=file_completer(ONNX, RKNN),
        ),
    ],
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE...",
            help="Images, folders of them, .npy or .npz files.",
            autocompletion=file_completer(*SAMPLES),
        ),
    ],
    options: OptionValues,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="OTHER",
            help="Another form of the model: show what differs.",
            autocompletion=file_completer(ONNX, RKNN),
            rich_help_panel=o.RESULT,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder for pictures with what was said drawn.",
            rich_help_panel=o.RESULT,
        ),
    ] = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Show what a model says of images or arrays, or two models side by side."""
    from ...pipeline.predict_file import predict
    from ...pipeline.recipes.recipe import make_recipe
    from ...report.documents.prediction_document import prediction_document
    from ...report.text.board_text import predicted_line
    from ...report.text.difference_text import memory_lines, sample_lines, summary_line
    from ..progress_display import watching
    from ..show import print_json, print_lines, show_folder

    recipe = make_recipe(model, **options)
    with watching(quiet=quiet) as progress:
        report = predict(recipe, images, against=against, drawings=output, progress=progress)
    if as_json:
        print_json(prediction_document(report))
    else:
        every = verbose or len(report.samples) <= _ALL_OF
        for row in report.samples:
            if every or row.difference is None or row.difference.differs:
                print_lines(sample_lines(row))
        ends = [predicted_line(report), summary_line(report), *memory_lines(report)]
        print_lines(filter(None, ends))
    if output is not None and any(row.drawing for row in report.samples):
        show_folder(output, quiet=quiet)
